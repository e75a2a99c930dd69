"""What is in the images, how they start, and how big they are."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.images.sizes import budget
from tidegate.cluster import engine, images

if TYPE_CHECKING:
    from tests.images.conftest import Facts, Run, Size

ROOT = Path(__file__).resolve().parents[2]
STEPS = sorted(path.stem for path in (ROOT / "jobs").iterdir() if not path.name.startswith(("_", ".")))
PYTHONS = ["airflow", *STEPS]
"""Images with frozen requirements of their own."""


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
def test_exactly_its_own_requirements_are_installed(facts: Facts, image: str) -> None:
    listed = (facts(name)["packages"] for name in (image, "base"))
    found, base = ({_normal(name): version for name, version in one.items()} for one in listed)
    found.pop("tidegate", None)  # ours: Airflow looks for the connection type in its metadata
    assert {name: version for name, version in found.items() if name not in base or name in pinned(image)} == pinned(
        image
    )


@pytest.mark.parametrize("step", STEPS)
def test_a_step_image_holds_that_step_alone_and_no_airflow(facts: Facts, step: str) -> None:
    assert facts(step)["steps"] == [step]
    assert facts(step)["importable"] == ["jobs", "tidegate"]


def test_the_airflow_image_holds_the_library_and_no_step(facts: Facts) -> None:
    assert facts("airflow")["importable"] == ["airflow", "tidegate"]


def test_the_airflow_image_has_what_the_triggerer_and_the_jobs_import(run: Run) -> None:
    modules = ("airflow", "airflow.trigger", "airflow.admission", "airflow.reconcile", "ledger.migrate", "step")
    code = "import os, " + ", ".join(f"tidegate.{module}" for module in modules) + ", boto3, azure.identity"
    done = run("airflow", "python", "-c", f"{code}; print(os.getcwd(), os.getuid(), os.getgid())")
    assert done.stdout.split() == ["/opt/airflow", "50000", "0"], done.stderr


@pytest.mark.parametrize("image", PYTHONS)
def test_bytecode_is_compiled_when_the_image_is_built(facts: Facts, image: str) -> None:
    """The root is read-only when it runs, so what is not compiled is compiled at every start."""
    assert facts(image)["files"] > 50
    assert len(facts(image)["raw"]) <= facts(image)["files"] // 100, facts(image)["raw"][:5]


@pytest.mark.parametrize("image", PYTHONS)
def test_an_image_keeps_to_its_size(size: Size, image: str) -> None:
    added, most = size(image) - size("base"), budget(image)
    print(f"{image}: {added:.0f} MB on top of base, of {most}")  # noqa: T201 - a figure people want to see
    assert most
    assert 0 < added <= most


def test_the_entrypoint_runs_what_it_is_given(run: Run) -> None:
    assert run("airflow", "bash", "-c", "exit 7").returncode == 7
    assert run("airflow", "airflow", "version").stdout.startswith(pinned("airflow")["apache-airflow"])


CLEAN = """
clean() {
    mkdir "$AIRFLOW_HOME" && cd "$AIRFLOW_HOME" && mkdir -p logs/old logs/new
    touch -d '20 days ago' logs/old/1.log logs/old/kept.txt && touch logs/new/1.log
    seq 9999 > logs/new/2.log && touch -d '2 days ago' logs/new/2.log
    timeout 5 bash /clean-logs; find "$AIRFLOW_HOME/logs" -type f > "$AIRFLOW_HOME.left"
}
"""
CLEANED: dict[str, tuple[dict[str, str], set[str]]] = {
    "default": ({}, {"1.log", "2.log"}),
    "days": ({"AIRFLOW__LOG_RETENTION_DAYS": "1"}, {"1.log"}),
    "minutes": ({"AIRFLOW__LOG_RETENTION_DAYS": "0", "AIRFLOW__LOG_RETENTION_MINUTES": "60"}, {"1.log"}),
    "size": ({"AIRFLOW__LOG_MAX_SIZE_BYTES": "1"}, {"1.log"}),
}


@pytest.fixture(scope="module")
def cleaned(run: Run) -> str:
    """The files that are left by each of them; they go on side by side, for the script never ends by itself."""
    lines = [CLEAN]
    for name, (environment, _) in CLEANED.items():
        told = " ".join(f"{key}={value}" for key, value in {"AIRFLOW_HOME": f"/tmp/{name}", **environment}.items())  # noqa: S108 - in the container
        lines.append(f"(export {told}; clean) &")
    done = run("airflow", "bash", "-c", "\n".join([*lines, "wait; cat /tmp/*.left"]))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", CLEANED)
def test_old_logs_are_deleted_and_nothing_else(cleaned: str, name: str) -> None:
    left = re.findall(rf"^/tmp/{name}/logs/\w+/(\S+)$", cleaned, re.MULTILINE)
    assert set(left) == {*CLEANED[name][1], "kept.txt"}


def test_the_pods_user_has_a_name_and_a_home_that_can_be_written(run: Run) -> None:
    code = "import getpass, pathlib; pathlib.Path.home().joinpath('x').touch(); print(getpass.getuser())"
    assert run("base", "-c", code, entrypoint="python").stdout.strip() == "tidegate"


def test_built_is_what_is_listed(refs: dict[str, str]) -> None:
    assert refs == images.references()
    assert images.build() == refs


@pytest.mark.parametrize(("image", "wanted"), [("datalake", "$DATALAKE_KEY"), ("weather_api", "$WEATHER_API_KEY")])
def test_a_stand_in_that_is_told_nothing_names_what_it_wants(run: Run, size: Size, image: str, wanted: str) -> None:
    done = run(image)
    assert done.returncode == 1
    assert wanted in done.stderr
    assert size(image) - size("base") <= (budget(image) or 0)
