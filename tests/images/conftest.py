"""The images, built where the engine lacks them, and a way to run one; what they hold is asked once for each."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from tests.images import sizes
from tidegate.cluster import engine, images, kind, standins

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]
    Facts = Callable[[str], dict[str, Any]]
    Size = Callable[[str], float]

FACTS = """
import importlib.metadata, importlib.util as u, json, pathlib, pkgutil, sysconfig
folders = [pathlib.Path("/opt/tidegate"), pathlib.Path(sysconfig.get_path("purelib"))]
files = [file for folder in folders for file in folder.rglob("*.py")]
steps = [path for path in (u.find_spec("jobs").submodule_search_locations if u.find_spec("jobs") else [])]
print(json.dumps({
    "packages": {one.name: one.version for one in importlib.metadata.distributions()},
    "steps": sorted(one.name for one in pkgutil.iter_modules(steps) if one.name[0] != "_"),
    "importable": [name for name in ("airflow", "jobs", "tidegate") if u.find_spec(name)],
    "files": len(files),
    "raw": [str(file) for file in files if not pathlib.Path(u.cache_from_source(file)).exists()],
}))
"""
"""What the tests want to know of a Python image: each start of a container takes a second or two."""


@pytest.fixture(scope="session")
def refs() -> dict[str, str]:
    """Image name -> reference, all of them in the engine."""
    engine.ensure()
    if kind.mode() == "airgap":
        standins.ensure("python")
    return images.build()


@pytest.fixture(scope="session")
def run(refs: dict[str, str]) -> Run:
    """Run an image as a pod would: root read-only, no capabilities, no network."""

    def start(
        image: str, *arguments: str, entrypoint: str | None = None, options: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        hardened = ["--rm", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--network=none", *options]
        other = [f"--entrypoint={entrypoint}"] if entrypoint else []
        command = [engine.docker(), "run", *hardened, *other, refs[image], *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)

    return start


@pytest.fixture(scope="session")
def facts(run: Run) -> Facts:
    """Image -> what `FACTS` says in it."""

    @cache
    def ask(image: str) -> dict[str, Any]:
        done = run(image, "-c", FACTS, entrypoint="python")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return ask


@pytest.fixture(scope="session")
def size(refs: dict[str, str]) -> Size:
    """Image -> MB that its files take on disk."""

    @cache
    def measure(image: str) -> float:
        return sizes.unpacked(refs[image])

    return measure
