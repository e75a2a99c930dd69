"""Counts the words of each file of a mini batch."""

from __future__ import annotations

from pathlib import Path


def init() -> None:
    """Nothing to load."""


def run(mini_batch: list[str]) -> list[str]:
    """Return one line for each file."""
    return [f"{Path(name).name},{len(Path(name).read_text().split())}" for name in mini_batch]
