"""What is in the images, how they start, and how big they are."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tidegate.cluster import engine, images

if TYPE_CHECKING:
    from tests.images.conftest import Run

ROOT = Path(__file__).resolve().parents[2]
STEPS = sorted(path.stem for path in (ROOT / "jobs").iterdir() if not path.name.startswith(("_", ".")))
PYTHONS = ["airflow", *STEPS]
"""Images with frozen requirements of their own."""

LEARNING = {"train_model": 600, "upload_model": 600}
"""Images with ML libraries, and the MB they may add to the base's root; the other steps may add `SMALL`."""

SMALL, AIRFLOW, STANDIN = 150, 700, 60


def size(run: Run, image: str) -> float:
    """MB that the image's files take on disk."""
    shown = run(image, "-sxk", "/", entrypoint="du", options=("--user=0", "--cap-add=DAC_READ_SEARCH")).stdout
    return int(shown.split()[0]) / 1024


def pinned(image: str) -> dict[str, str]:
    text = (ROOT / "images" / image / "requirements.txt").read_text(encoding="utf-8")
    return {_normal(name): version for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text, re.MULTILINE)}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("image", PYTHONS)
def test_an_image_starts_and_explains_itself(run: Run, image: str) -> None:
    done = run(image, "--help")
    assert done.returncode == 0, done.stderr
    assert image in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(("image", "user"), [("base", "10001:10001"), *((step, "10001:10001") for step in STEPS)])
def test_steps_run_as_the_user_their_pods_name(refs: dict[str, str], image: str, user: str) -> None:
    assert configured(refs[image]) == user


def test_airflow_runs_as_the_user_the_official_chart_names(refs: dict[str, str]) -> None:
    assert configured(refs["airflow"]) == "50000:0"


def configured(ref: str) -> str:
    command = [engine.docker(), "image", "inspect", "--format={{.Config.User}}", ref]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("image", PYTHONS)
def test_exactly_its_own_requirements_are_installed(run: Run, image: str) -> None:
    code = "import json, importlib.metadata as m; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    listed = {name: json.loads(run(name, "-c", code, entrypoint="python").stdout) for name in ("base", image)}
    found, base = ({_normal(name): version for name, version in one.items()} for one in (listed[image], listed["base"]))
    assert {name: version for name, version in found.items() if name not in base or name in pinned(image)} == pinned(
        image
    )


@pytest.mark.parametrize("step", STEPS)
def test_a_step_image_holds_that_step_alone_and_no_airflow(run: Run, step: str) -> None:
    code = (
        "import pkgutil, jobs; print(*sorted(m.name for m in pkgutil.iter_modules(jobs.__path__) if m.name[0] != '_'))"
    )
    assert run(step, "-c", code, entrypoint="python").stdout.split() == [step]
    assert run(step, "-c", "import airflow", entrypoint="python").returncode != 0


def test_the_airflow_image_holds_the_library_and_no_step(run: Run) -> None:
    done = run("airflow", "python", "-c", "import tidegate.airflow, os; print(os.getcwd(), os.getuid(), os.getgid())")
    assert done.stdout.split() == ["/opt/airflow", "50000", "0"], done.stderr
    assert run("airflow", "python", "-c", "import jobs").returncode != 0


def test_the_airflow_image_has_what_the_triggerer_and_the_jobs_import(run: Run) -> None:
    modules = ("airflow.trigger", "airflow.admission", "airflow.reconcile", "ledger.migrate", "step")
    code = "import " + ", ".join(f"tidegate.{module}" for module in modules) + "; import boto3, azure.identity"
    done = run("airflow", "python", "-c", code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("image", PYTHONS)
def test_bytecode_is_compiled_when_the_image_is_built(run: Run, image: str) -> None:
    """The root is read-only when it runs, so what is not compiled is compiled at every start."""
    code = (
        "import pathlib, importlib.util as u, sysconfig;"
        "folders = [pathlib.Path('/opt/tidegate'), pathlib.Path(sysconfig.get_path('purelib'))];"
        "files = [f for folder in folders for f in folder.rglob('*.py')];"
        "raw = [f for f in files if not pathlib.Path(u.cache_from_source(f)).exists()];"
        "print(len(files), len(raw), *raw[:5])"
    )
    files, raw, *examples = run(image, "-c", code, entrypoint="python").stdout.split()
    assert int(files) > 50
    assert int(raw) <= int(files) // 100, examples


@pytest.mark.parametrize("image", PYTHONS)
def test_an_image_keeps_to_its_size(run: Run, image: str) -> None:
    budget = AIRFLOW if image == "airflow" else LEARNING.get(image, SMALL)
    added = size(run, image) - size(run, "base")
    print(f"{image}: {added:.0f} MB on top of base, of {budget}")  # noqa: T201 - a figure people want to see
    assert 0 < added <= budget


def test_the_entrypoint_runs_what_it_is_given(run: Run) -> None:
    assert run("airflow", "bash", "-c", "exit 7").returncode == 7
    assert run("airflow", "airflow", "version").stdout.startswith(pinned("airflow")["apache-airflow"])


CLEAN = """
mkdir -p logs/old logs/new && touch -d '20 days ago' logs/old/1.log logs/old/kept.txt && touch logs/new/1.log
seq 9999 > logs/new/2.log && touch -d '2 days ago' logs/new/2.log
timeout 5 bash /clean-logs; ls logs/*
"""


@pytest.mark.parametrize(
    ("environment", "left"),
    [
        ({}, {"1.log", "2.log"}),
        ({"AIRFLOW__LOG_RETENTION_DAYS": "1"}, {"1.log"}),
        ({"AIRFLOW__LOG_RETENTION_DAYS": "0", "AIRFLOW__LOG_RETENTION_MINUTES": "60"}, {"1.log"}),
        ({"AIRFLOW__LOG_MAX_SIZE_BYTES": "1"}, {"1.log"}),
    ],
    ids=["default", "days", "minutes", "size"],
)
def test_old_logs_are_deleted_and_nothing_else(run: Run, environment: dict[str, str], left: set[str]) -> None:
    variables = tuple(f"--env={name}={value}" for name, value in environment.items())
    home = ("--env=AIRFLOW_HOME=/tmp", "--workdir=/tmp")
    shown = run("airflow", "bash", "-c", CLEAN, options=(*variables, *home)).stdout
    assert set(re.findall(r"\S+\.(?:log|txt)", shown)) == {*left, "kept.txt"}


def test_the_pods_user_has_a_name_and_a_home_that_can_be_written(run: Run) -> None:
    code = "import getpass, pathlib; pathlib.Path.home().joinpath('x').touch(); print(getpass.getuser())"
    assert run("base", "-c", code, entrypoint="python").stdout.strip() == "tidegate"


def test_built_is_what_is_listed(refs: dict[str, str]) -> None:
    assert refs == images.references()
    assert images.build() == refs


@pytest.mark.parametrize(("image", "wanted"), [("datalake", "$DATALAKE_KEY"), ("weather_api", "$WEATHER_API_KEY")])
def test_a_stand_in_that_is_told_nothing_names_what_it_wants(run: Run, image: str, wanted: str) -> None:
    done = run(image)
    assert done.returncode == 1
    assert wanted in done.stderr
    assert size(run, image) - size(run, "base") <= STANDIN
