"""What the README says about the code is what the code says about itself."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = "count_rows"
"""The step that "Add a step" is about; it is not there until somebody adds it."""
README = (ROOT / "README.md").read_text()


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["README.md", "docs/values.md"])
def test_generated_tables_are_as_the_code_says(name: str) -> None:
    assert generator().rendered(name) == (ROOT / name).read_text(), "run `make docs`"


def test_the_order_is_the_one_that_readers_learn() -> None:
    wanted = [
        "One-minute map",
        "Run it",
        "Pipelines",
        "Add a step",
        "Settings",
        "Secrets",
        "Deploy on a real cluster",
        "Tests",
        "When it breaks",
        "What is not included, and why",
    ]
    assert re.findall(r"^## (.+)$", README, re.MULTILINE) == wanted


def test_paths_that_the_readme_names_exist() -> None:
    named = re.findall(r"`((?:tidegate|jobs|dags|images|helm|k8s|tests|docs|\.ci)/[\w./-]*)`", README)
    assert named
    assert [path for path in named if EXAMPLE not in path and not (ROOT / path).exists()] == []


def test_links_within_the_project_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if not link.startswith("http")]
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_picture_is_shown_and_small() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {
        (page.parent / link).resolve()
        for page in pages
        for link in re.findall(r"!\[[^\]]+\]\(([^)]+)", page.read_text())
    }
    assert shown == set((ROOT / "docs" / "img").iterdir())
    assert [path.name for path in shown if path.stat().st_size > 200_000] == []


def test_make_targets_that_the_readme_names_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)", README)) <= targets


def test_bare_make_prints_every_target() -> None:
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    assert set(re.findall(r"^  make ([a-z]+)", said, re.MULTILINE)) == set(phony[1].split())


def test_ci_goes_through_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert re.search(r"^make test$", script.read_text(), re.MULTILINE)
