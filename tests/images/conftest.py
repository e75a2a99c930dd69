"""The images, built where the engine lacks them, and a way to run one."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tidegate.cluster import engine, images, kind, standins

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]


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
