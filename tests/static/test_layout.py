"""One snake_case name everywhere: a step that is forgotten somewhere is told by the path that is missing."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
STEPS = sorted(path.stem for path in (ROOT / "jobs").iterdir() if not path.name.startswith(("_", ".")))
IMAGES = sorted(path.name for path in (ROOT / "images").iterdir() if path.is_dir() and path.name != "standins")
DAG_FILES = [path for pattern in ("*.py", "*/*.py") for path in (ROOT / "dags").glob(pattern)]


def one_of(*paths: str) -> str:
    """Nothing if one of the paths exists, else what is missing."""
    return "" if any((ROOT / path).exists() for path in paths) else " or ".join(paths)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_has_its_name_everywhere(step: str) -> None:
    files = [
        one_of(f"jobs/{step}.py", f"jobs/{step}/__init__.py"),
        one_of(f"images/{step}/Dockerfile"),
        one_of(f"images/{step}/requirements.txt"),
        one_of(f"tests/jobs/test_{step}.py", f"tests/jobs/{step}", f"tests/jobs/people/test_{step}.py"),
    ]
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    values = yaml.safe_load((ROOT / "helm/tidegate/values.yaml").read_text())["steps"]
    skaffold = yaml.safe_load((ROOT / "skaffold.yaml").read_text())["build"]["artifacts"]
    entries = [
        "" if step in groups else f"pyproject.toml: [dependency-groups] {step}",
        "" if step in values else f"helm/tidegate/values.yaml: steps.{step}",
        "" if f"tidegate/{step}" in [one["image"] for one in skaffold] else f"skaffold.yaml: tidegate/{step}",
    ]
    assert [missing for missing in files + entries if missing] == []


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_has_a_dockerfile_and_stands_in_the_list(image: str) -> None:
    skaffold = yaml.safe_load((ROOT / "skaffold.yaml").read_text())["build"]["artifacts"]
    assert one_of(f"images/{image}/Dockerfile") == ""
    assert f"images/{image}/Dockerfile" in [one["custom"]["dependencies"]["dockerfile"]["path"] for one in skaffold]


def test_every_pipeline_has_a_service_account() -> None:
    values = yaml.safe_load((ROOT / "helm/tidegate/values.yaml").read_text())["pipelines"]
    assert sorted(values) == sorted(path.stem for path in DAG_FILES)


def test_values_name_no_step_that_is_not_there() -> None:
    values = yaml.safe_load((ROOT / "helm/tidegate/values.yaml").read_text())["steps"]
    assert sorted(values) == STEPS


def test_steps_in_pipelines_exist() -> None:
    used = {name for path in DAG_FILES for name in re.findall(r'\bstep\(\s*"(\w+)"', path.read_text())}
    assert used - set(STEPS) == set()
    assert used, "no pipeline uses step()"


def test_frozen_requirements_have_hashes_and_no_address() -> None:
    files = [ROOT / "tests/requirements.txt", *sorted((ROOT / "images").rglob("requirements.txt"))]
    assert len(files) > 1
    for path in files:
        text = path.read_text()
        pins = re.findall(r"^[a-z0-9].*==", text, re.MULTILINE)
        assert pins, f"{path} pins nothing"
        assert len(re.findall(r"^[a-z0-9][^\n]*\\\n +--hash=sha256:", text, re.MULTILINE)) == len(pins), path
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text), path


def test_every_folder_of_tests_is_a_rung() -> None:
    listed = re.search(r"^RUNGS = \(([^)]*)\)", (ROOT / "tests/run.py").read_text(), re.MULTILINE)
    assert listed
    folders = {path.parent.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").glob("*/**/test_*.py")}
    assert folders == set(re.findall(r'"(\w+)"', listed[1]))
