"""A model that asks for two readings: resting blood pressure and cholesterol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


class Rules:
    """At risk where either reading is above its limit."""

    def __init__(self, limits: dict[str, float]) -> None:
        self._limits = limits

    def predict(self, readings: pd.DataFrame) -> list[int]:
        """Return 1 or 0 for each row."""
        return [int(any(row[name] > limit for name, limit in self._limits.items())) for _, row in readings.iterrows()]


def _load_pyfunc(path: str) -> Rules:
    """MLflow calls this with the path of `data`."""
    return Rules(json.loads(Path(path).read_text()))
