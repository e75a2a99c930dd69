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
IMAGES = set(re.findall(r"image: (tidegate/\w+)", (ROOT / "skaffold.yaml").read_text()))
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


PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_paths_of_the_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if not link.startswith("http")]
    assert [link for link in links if not (page.parent / link).exists()] == []
    named = re.findall(r"`((?:tidegate|jobs|dags|images|helm|k8s|tests|docs|\.ci)/[\w./-]*)`", text)
    named = [path for path in named if path not in IMAGES and EXAMPLE not in path]
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_class_of_failure_is_explained() -> None:
    source = (ROOT / "tidegate/airflow/failures.py").read_text().partition("class Kind(")[2].partition("\nclass ")[0]
    classes = set(re.findall(r'^    [A-Z_]+ = "(\w+)"', source, re.MULTILINE))
    table = (ROOT / "docs/when-it-breaks.md").read_text().partition("| class |")[2].partition("\n\n")[0]
    assert classes
    assert classes == {name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])}


def test_commands_that_the_pages_name_exist() -> None:
    known = set(re.findall(r"^\| `tidegate ([a-z]+)", README, re.MULTILINE))
    named = {word for page in PAGES for word in re.findall(r"bin/tidegate ([a-z]+)", page.read_text())}
    assert named
    assert named <= known


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
