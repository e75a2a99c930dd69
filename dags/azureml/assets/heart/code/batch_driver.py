"""Scores mini batches of CSV files with the registered model."""

from __future__ import annotations

import os
from pathlib import Path

import mlflow
import pandas as pd

STATE: dict[str, object] = {}


def init() -> None:
    """Load the model once for each process."""
    STATE["model"] = mlflow.pyfunc.load_model(str(Path(os.environ["AZUREML_MODEL_DIR"]) / "model"))


def run(mini_batch: list[str]) -> pd.DataFrame:
    """Return the rows of all files, with what the model says of each."""
    tables = [pd.read_csv(path).assign(file=Path(path).name) for path in mini_batch]
    rows = pd.concat(tables)
    return rows.assign(at_risk=STATE["model"].predict(rows))
