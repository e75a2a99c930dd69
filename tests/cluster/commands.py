"""The command line as people call it, and as something kills it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tidegate.cli import runs
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

UP_SECONDS = 3000
"""For a cold cache on two cores."""
MAKING, INSTALLING, RUNNING = "Create the cluster", "Install Tidegate", "Run the pipelines"
"""What `up` says when kind begins, when helm does, and when it starts its pipelines."""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tidegate", *arguments]


def tidegate(*arguments: str, seconds: float = UP_SECONDS) -> subprocess.CompletedProcess[str]:
    """One call."""
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)


def killed_up(arguments: Sequence[str], at: str, log: Path, *, when: Callable[[], bool] = lambda: True) -> str:
    """Start `tidegate up` and kill it, and all that it started, two seconds after it says `at`; what it had said.

    With `when`, not before that is so.
    """
    with log.open("wb") as said:
        process = subprocess.Popen(command(*arguments), cwd=ROOT, stdout=said, stderr=said, start_new_session=True)
    try:
        runs.until(
            lambda: process.poll() is not None or (at in log.read_text() and when()),
            seconds=UP_SECONDS,
            what=f"`up` to come to {at!r}",
            state=log.read_text,
            every=0.2,
        )
        time.sleep(2)
        assert process.poll() is None, f"up ended before it could be killed at {at!r}:\n{log.read_text()}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return log.read_text()
