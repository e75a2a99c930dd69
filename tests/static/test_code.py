"""The code passes the tools that pyproject.toml sets up, with no exception that is not written beside its line."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.cluster import cache

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
MOST_LINES = 300


def run(*command: str) -> None:
    """One tool; what mypy found out about files that have not changed is kept between clones, as CI makes them."""
    environ = {"MYPY_CACHE_DIR": str(cache.folder("mypy"))} if os.environ.get("CI") == "true" else {}
    words = [BIN / command[0], *command[1:]]
    done = subprocess.run(words, cwd=ROOT, env=os.environ | environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"], ["lint-imports", "--no-logo"]],
    ids=" ".join,
)
def test_tools_find_nothing(command: list[str]) -> None:
    run(*command)


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_no_file_is_longer_than_people_read_at_once() -> None:
    files = python_files("tidegate", "jobs", "dags", "tests", "docs")
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_every_module_opens_with_its_contract() -> None:
    silent = [path for path in python_files("tidegate", "jobs", "dags") if path.read_text().strip()]
    silent = [str(path.relative_to(ROOT)) for path in silent if not path.read_text().startswith('"""')]
    assert silent == []


def test_no_module_is_called_after_nothing() -> None:
    empty_names = {"utils", "helpers", "common", "misc", "base"}
    assert [str(path) for path in python_files("tidegate", "jobs", "dags") if path.stem in empty_names] == []


def test_every_step_is_kept_from_importing_the_others() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    kept = contracts["importlinter:contract:no-step-imports-another"]["modules"].split()
    names = [path.stem for path in (ROOT / "jobs").iterdir() if not path.name.startswith(("_", "."))]
    assert kept == sorted(f"jobs.{name}" for name in names)
