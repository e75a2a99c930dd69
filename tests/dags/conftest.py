"""Airflow on a metadata database of its own."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
import warnings
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import forked
from tidegate.cluster import cache

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.sdk import DAG

    Fork = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[2]

# Airflow reads these once, when it is imported.
HOME = Path(tempfile.mkdtemp(prefix="tidegate-airflow-"))
DATABASE = HOME / "airflow.db"
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{DATABASE}",
    "TIDEGATE_STEPS_NAMESPACE": "tidegate-steps",
}
os.environ.pop("KUBERNETES_SERVICE_HOST", None)


def pytest_configure(config: pytest.Config) -> None:
    """Warnings of Airflow's own code are Airflow's to mend."""
    for line in ("ignore:::airflow", "ignore:::fastapi", "ignore:::flask_limiter", "ignore:::starlette"):
        config.addinivalue_line("filterwarnings", line)


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    shutil.rmtree(HOME, ignore_errors=True)


def entry(step: str, **changes: object) -> str:
    """What the chart writes for a step."""
    return json.dumps(
        {
            "image": f"tidegate/{step}:0123456789ab",
            "env": {"AWS_REGION": "us-east-1"},
            "secret": f"step-{step.replace('_', '-')}",
            "secret_keys": ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
            "active_deadline_seconds": 3600,
            "node_selector": {},
            "tolerations": [],
            "image_pull_policy": "IfNotPresent",
            "image_pull_secrets": [],
            **changes,
        }
    )


@pytest.fixture
def config() -> dict[str, str]:
    """The ConfigMap's data."""
    steps = {step: entry(step) for step in ("hello", "train_model", "upload_model")}
    return {"_platform": json.dumps({"store_root": "s3://tidegate"}), **steps}


MAKES_TABLES = ("apache-airflow-core", "apache-airflow-providers-fab", "flask-appbuilder", "alembic", "sqlalchemy")
"""Packages on which depends what a new metadata database is like."""


@pytest.fixture(scope="session")
def database() -> None:
    """Airflow's metadata database, made by what `airflow db migrate` runs, which is what the chart runs.

    The same packages make the same one, which is kept in the cache while it is new.
    """
    key = cache.fingerprint(*(f"{name} {version(name)}" for name in MAKES_TABLES), Path(__file__))
    kept = cache.entry("airflow-databases", key, _migrate) / DATABASE.name
    if not DATABASE.exists() or not DATABASE.stat().st_size:
        shutil.copy(kept, DATABASE)


def _migrate(folder: Path) -> None:
    from airflow.cli.cli_parser import get_parser  # noqa: PLC0415 - the settings above come first

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arguments = get_parser().parse_args(["db", "migrate"])
        arguments.func(arguments)
    with closing(sqlite3.connect(DATABASE)) as made, closing(sqlite3.connect(folder / DATABASE.name)) as kept:
        made.backup(kept)
        tables = {name for (name,) in kept.execute("SELECT name FROM sqlite_master")}
    assert {"dag_bundle", "ab_user"} <= tables, "not all tables were there when it was kept"


AIRFLOW = ("airflow.sdk", "airflow.plugins_manager", "airflow.providers.cncf.kubernetes.operators.pod")
"""What every DAG file of ours and every plugin imports of Airflow's: nothing of ours, and no database's migrations."""
HASHES = (("PYTHONHASHSEED", "1"),)
ANOTHER_PROCESS = """
import sys, tidegate.page.plugin
print("PAGE", *(name for name in sys.modules if name.startswith("tidegate.")))
import tidegate.airflow.notify
from tidegate.airflow import step
print("MODULES", *sys.modules)
import json
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.serialization.serialized_objects import DagSerialization
from tidegate.airflow import preloaded
preloaded.load()
before = set(sys.modules)
bag = BundleDagBag(bundle_path=sys.argv[1], dag_folder=sys.argv[1], bundle_name="dags")
print("LATE", *(set(sys.modules) - before))
print("DAGS", json.dumps({name: DagSerialization.to_dict(dag) for name, dag in bag.dags.items()}, sort_keys=True))
"""


@pytest.fixture(scope="session")
def fork() -> Fork:
    """Run text of Python in a process with Airflow in memory and other hashes than this one."""

    def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, **dict(HASHES), "PYTHONPATH": str(ROOT), **environment}
        return forked.run(["-c", code, *arguments], env=env, loaded=AIRFLOW, variables=HASHES)

    return run


@pytest.fixture(scope="session")
def another(database: None, fork: Fork) -> dict[str, str]:
    """What a process with other hashes says: what it imports for a page, a DAG file and late, and how it reads all."""
    done = fork(ANOTHER_PROCESS, str(ROOT / "dags"))
    assert done.returncode == 0, done.stderr
    lines = (line.partition(" ") for line in done.stdout.splitlines())
    return {word: rest for word, _, rest in lines if word in ("PAGE", "MODULES", "LATE", "DAGS")}


def bag() -> BundleDagBag:
    """The DAG files, read as Airflow reads them."""
    from airflow.dag_processing.dagbag import BundleDagBag  # noqa: PLC0415 - the settings above come first

    return BundleDagBag(bundle_path=ROOT / "dags", dag_folder=str(ROOT / "dags"), bundle_name="dags")


@pytest.fixture(scope="session")
def parsed(database: None) -> BundleDagBag:
    """The DAG files, read once for all tests: change nothing in them."""
    return bag()


@pytest.fixture
def dags(parsed: BundleDagBag) -> dict[str, DAG]:
    """The pipelines by id."""
    return dict(parsed.dags)
