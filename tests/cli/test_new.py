"""`tidegate new …` in a copy of this checkout: what it writes passes the copy's own tests, or nothing is written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from tidegate.cli.fault import Fault
from tidegate.cli.scaffold import checkout, names
from tidegate.cluster.project import ROOT

STEP, PIPELINE = "count_rows", "my_rows"
SECONDS = 300
LINTED = ("jobs", "dags", "tests/jobs", "tests/dags")


def tracked() -> list[str]:
    """The files of this checkout, new ones too, as they stand."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for path in found if (ROOT / path).is_file()]


def bytecode(path: str) -> list[Path]:
    """What Python and pytest have compiled of a file of this checkout: good for a copy that keeps the file's time."""
    file = ROOT / path
    return list((file.parent / "__pycache__").glob(f"{file.stem}.*.pyc")) if file.suffix == ".py" else []


def run(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command of this Python in the copy, with the copy's code."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "CI": ""}
    command = [sys.executable, "-m", *words]
    return subprocess.run(
        command, cwd=copy, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def contents(copy: Path) -> dict[str, bytes]:
    """Every file of the copy but what tools leave."""
    files = (path for path in copy.rglob("*") if path.is_file())
    shown = {path.relative_to(copy).as_posix(): path for path in files}
    left = (".", "build/")
    return {name: path.read_bytes() for name, path in shown.items() if not name.startswith(left) and ".pyc" not in name}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, with what is compiled of it: change nothing in it."""
    copy = tmp_path_factory.mktemp("fresh") / "tidegate"
    for path in tracked():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, copy / path)
        for compiled in bytecode(path):
            target = copy / compiled.relative_to(ROOT)
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(compiled, target)
    return copy


@pytest.fixture(scope="module")
def grown(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another with a new step and a pipeline of it."""
    copy = tmp_path_factory.mktemp("grown") / "tidegate"
    shutil.copytree(fresh, copy)
    for words in (("step", STEP), ("pipeline", PIPELINE, "--step", STEP, "--schedule", "@daily")):
        done = run(copy, "tidegate", "new", *words)
        assert done.returncode == 0, done.stderr
        assert ".venv/bin/tidegate" in done.stdout
    return copy


RUNGS = {
    "static/test_layout": "",
    "static/test_docs": "not make",
    "static/test_code": "imports or importing",
    f"jobs/test_{STEP}": "",
    f"dags/test_{PIPELINE}": "",
    "dags/test_pipelines": "can_be_read or explains_itself or let_in or needs_a_worker or my_rows",
    "helm/test_steps": "standalone]",
    "helm/test_access": "standalone]",
    "helm/test_values": "explained",
    "images/test_requirements": "",
}
"""File -> which of its tests, in the words of `pytest -k`; all of them where nothing is said."""


@pytest.fixture(scope="module")
def rungs(grown: Path) -> ET.Element:
    """What all of them came to, in one process: it takes longer to begin than most of them."""
    chosen = [f"{Path(file).name}.py" + (f" and ({words})" if words else "") for file, words in RUNGS.items()]
    named = [f"tests/{file}.py" for file in RUNGS]
    report = grown / "build" / "rungs.xml"
    words = ("-q", "-p", "no:cacheprovider", f"--junitxml={report}", "-k", " or ".join(f"({one})" for one in chosen))
    done = run(grown, "pytest", *words, *named)
    assert report.is_file(), done.stdout[-6000:] + done.stderr
    return ET.parse(report).getroot()  # noqa: S314 - written by our own pytest


@pytest.mark.parametrize("file", RUNGS, ids=lambda file: Path(file).name)
def test_a_new_step_and_its_pipeline_pass_the_rungs(rungs: ET.Element, file: str) -> None:
    module = f"tests.{file.replace('/', '.')}"
    cases = [case for case in rungs.iter("testcase") if module in (case.get("classname"), case.get("name"))]
    faults = [fault for case in cases for kind in ("failure", "error") for fault in case.findall(kind)]
    assert faults == [], "\n".join(str(fault.text)[-6000:] for fault in faults)
    assert any(case.find("skipped") is None for case in cases), "none of its tests has run"


def test_what_is_written_is_laid_out_and_typed_as_everything_here(grown: Path, tmp_path: Path) -> None:
    for words in (("check",), ("format", "--check")):
        done = run(grown, "ruff", *words, *LINTED)
        assert done.returncode == 0, done.stdout
    quick = ("--follow-imports=silent", f"--cache-dir={tmp_path}", "--no-warn-unused-configs")
    done = run(grown, "mypy", *quick, f"jobs/{STEP}.py")
    assert done.returncode == 0, done.stdout


def test_the_new_step_runs_here(grown: Path) -> None:
    done = run(grown, "tidegate", "run", STEP, "--input", "data=README.md")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["metrics"]["lines"] == len((grown / "README.md").read_text().splitlines())


def test_nothing_else_has_changed_and_comments_stay(fresh: Path, grown: Path) -> None:
    before, after = contents(fresh), contents(grown)
    new = {name for name in after if name not in before}
    assert new == {
        f"jobs/{STEP}.py",
        f"images/{STEP}/Dockerfile",
        f"images/{STEP}/requirements.txt",
        f"tests/jobs/test_{STEP}.py",
        f"dags/{PIPELINE}.py",
        f"tests/dags/test_{PIPELINE}.py",
    }
    for name in before:
        old, now = before[name].splitlines(), iter(after[name].splitlines())
        assert [line for line in old if line not in now] == [], f"a line of {name} is gone, or its order"
    edited = {name for name in before if after[name] != before[name]}
    assert edited == {"README.md", "docs/values.md", "helm/tidegate/values.yaml", "pyproject.toml", "skaffold.yaml"}


def test_its_image_stands_on_base_and_its_release_takes_its_tag(grown: Path) -> None:
    document = yaml.safe_load((grown / "skaffold.yaml").read_text())
    (artifact,) = [one for one in document["build"]["artifacts"] if one["image"] == f"tidegate/{STEP}"]
    others = {key: value for key, value in document["build"]["artifacts"][1].items() if key not in ("image", "custom")}
    assert {key: value for key, value in artifact.items() if key not in ("image", "custom")} == others
    assert artifact["requires"] == [{"image": "tidegate/base", "alias": "BASE"}]
    templates = document["deploy"]["helm"]["releases"][0]["setValueTemplates"]
    assert templates[f"steps.{STEP}.image"] == f"{{{{.IMAGE_FULLY_QUALIFIED_tidegate_{STEP}}}}}"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("step", "hello"), "there is a step hello already"),
        (("step", "CountRows"), "such as count_rows"),
        (("step", "2_rows"), "want snake_case"),
        (("step", "x" * 51), "at most 50"),
        (("step", "weather_api"), "reserved"),
        (("step", "git_server"), "reserved"),
        (("step", "stores"), "reserved"),
        (("step", "utils"), "reserved"),
        (("step", "import"), "reserved"),
        (("step", "count_rows", "--about", 'says "x"'), "--about"),
        (("step", "count_rows", "--about", "x" * 101), "--about"),
        (("pipeline", "petrol"), "there is a pipeline petrol already"),
        (("pipeline", "yaml"), "would hide the module yaml"),
        (("pipeline", "mine", "--step", "helo"), "no step 'helo'"),
        (("pipeline", "mine", "--step", "azure_ml"), "TIDEGATE_PARAMS.action"),
        (("pipeline", "mine", "--schedule", "hourly"), "five fields"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, tuple) else "",
)
def test_what_will_not_do_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, fresh: Path, words: tuple[str, ...], told: str
) -> None:
    from typer.testing import CliRunner  # noqa: PLC0415

    from tidegate.cli import app  # noqa: PLC0415
    from tidegate.cli.scaffold import commands  # noqa: PLC0415

    monkeypatch.setattr(commands, "ROOT", fresh)
    before = contents(fresh)
    with pytest.raises(Fault) as fault:
        CliRunner().invoke(app, ["new", *words], catch_exceptions=False)
    assert told in str(fault.value)
    assert contents(fresh) == before


def test_a_dry_run_says_what_it_would_write_and_writes_nothing(fresh: Path) -> None:
    before = contents(fresh)
    done = run(fresh, "tidegate", "new", "step", STEP, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"new     jobs/{STEP}.py" in done.stdout
    assert "edited  skaffold.yaml (+5 lines)" in done.stdout
    assert contents(fresh) == before


@pytest.mark.parametrize("fails_at", range(4))
def test_when_one_file_cannot_be_written_none_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    for name, text in (("old", "before\n"), ("script", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
    (tmp_path / "script").chmod(0o755)
    wanted = {"a/new": "1\n", "old": "after\n", "b/c/new": "2\n", "script": "#!/bin/bash\n"}
    changed = [checkout.Change(path, text, 0, path not in ("old", "script")) for path, text in wanted.items()]
    real, calls = Path.replace, list[Path]()

    def replace(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) == fails_at + 1:
            raise KeyboardInterrupt
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        checkout.write(tmp_path, changed)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["old", "script"]
    assert (tmp_path / "old").read_text() == "before\n"
    monkeypatch.undo()
    checkout.write(tmp_path, changed)
    assert {path: (tmp_path / path).read_text() for path in wanted} == wanted
    assert (tmp_path / "script").stat().st_mode & 0o777 == 0o755
    assert list(tmp_path.rglob(".*")) == []


def test_names_that_will_do() -> None:
    for name in ("count_rows", "hello2", "x", "score_3_models", "x" * 50):
        names.check(name, kind="step")
    assert names.check_about("counts rows") == "Counts rows."
    assert names.check_about("Counts rows.") == "Counts rows."
