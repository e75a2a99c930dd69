"""Counts the letters of each row of a mini batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def init() -> None:
    """Nothing to load."""


def run(mini_batch: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with a column more."""
    return mini_batch.assign(letters=mini_batch["line"].str.len())
