"""Greets someone: the smallest step there is, to see that a pod, its settings and its store work.

Reads: nothing. Writes: `greeting.txt` under the output, last of all. Again: a greeting that is there already is left
as it is, so that however often it runs, the store has one version of it.

With `lines` and `seconds` it stands in for a step that works: numbered lines in the log, and time to look at its pod
or to kill it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from tidegate.step import Prefix, Result, Store, param, publish_changed

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What hello can be told."""

    name: str = param("world", at_least=1, at_most=200)
    """Who is greeted."""
    lines: int = param(0, at_least=0, at_most=100_000)
    """Numbered lines it prints before it greets; 0 prints none."""
    seconds: float = param(0.0, at_least=0, at_most=86_400)
    """How long it takes, spread evenly over its lines; 0 does not wait."""
    output: Prefix
    """Where the greeting goes."""


def run(settings: Settings, store: Store) -> Result:
    """Count, wait, and write the greeting."""
    _work(settings.lines, settings.seconds)
    greeting = f"Hello, {settings.name}!"
    output = publish_changed(store, "greeting", settings.output / "greeting.txt", f"{greeting}\n".encode())
    return Result(outputs=(output,), summary=" ".join(greeting.split()))


def _work(lines: int, seconds: float) -> None:
    for number in range(1, lines + 1):
        log.info("line %d of %d", number, lines)
        time.sleep(seconds / lines)
    if not lines:
        time.sleep(seconds)
