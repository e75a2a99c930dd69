"""Frozen requirements are those of the image's own group in pyproject.toml; `make freeze` brings them in step."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
FROZEN = sorted((ROOT / "images").rglob("requirements.txt"))
GROUPS: dict[str, list[Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]


def wanted(group: str) -> list[Requirement]:
    """What a group asks for, with the groups that it includes."""
    found = []
    for line in GROUPS[group]:
        found += wanted(line["include-group"]) if isinstance(line, dict) else [Requirement(line)]
    return found


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+) \\$", path.read_text(), re.MULTILINE))


def needs(package: str) -> set[str]:
    """The packages that a package names as its own requirements, whatever the circumstances."""
    try:
        found = requires(package) or []
    except PackageNotFoundError:  # pinned for another interpreter than this one
        found = []
    return {canonicalize_name(Requirement(line).name) for line in found}


@pytest.mark.parametrize("path", FROZEN, ids=lambda path: path.parent.name)
def test_every_package_a_group_asks_for_is_pinned_to_a_version_it_allows(path: Path) -> None:
    found = pins(path)
    for requirement in wanted(path.parent.name):
        name = canonicalize_name(requirement.name)
        assert name in found, f"{path}: {name} is missing; run `make freeze`"
        assert requirement.specifier.contains(found[name]), f"{path}: {name}=={found[name]}; run `make freeze`"


@pytest.mark.parametrize("path", FROZEN, ids=lambda path: path.parent.name)
def test_nothing_is_pinned_that_nobody_asks_for(path: Path) -> None:
    asked_for = {canonicalize_name(requirement.name) for requirement in wanted(path.parent.name)}
    found = set(pins(path))
    reached: set[str] = set()
    while asked_for - reached:
        reached |= (new := asked_for - reached)
        asked_for |= {name for package in new for name in needs(package)} & found
    assert found - reached == set(), f"{path}: run `make freeze`"


@pytest.mark.parametrize("path", FROZEN, ids=lambda path: path.parent.name)
def test_every_pin_has_hashes_and_the_file_no_address(path: Path) -> None:
    text = path.read_text()
    assert (
        len(re.findall(r"^[a-z0-9.-]+==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE))
        == len(pins(path))
        > 0
    )
    assert not re.search(r"://|--index|--extra|--find-links|--trusted", text)


def test_images_and_tests_run_the_same_versions() -> None:
    """What the unit rungs pass with is what the images hold."""
    tested = pins(ROOT / "tests/requirements.txt")
    for path in FROZEN:
        other = {name: version for name, version in pins(path).items() if tested.get(name, version) != version}
        assert other == {}, path


def test_the_steps_that_hand_over_a_pickle_agree_on_the_libraries_it_needs() -> None:
    train, upload = (pins(ROOT / "images" / step / "requirements.txt") for step in ("train_model", "upload_model"))
    for name in ("scikit-learn", "numpy", "scipy", "joblib"):
        assert train[name] == upload[name]
