"""Fits a ridge regression to the diabetes table, and logs how far off it is on rows that it has not seen."""

from __future__ import annotations

import argparse
from pathlib import Path

import mlflow
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split


def main() -> None:
    """Read, fit, log."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--diabetes-csv", type=Path, required=True)
    options = parser.parse_args()
    table = pd.read_csv(options.diabetes_csv)
    target = table.pop(table.columns[-1])
    train, test, known, wanted = train_test_split(table, target, test_size=0.2, random_state=0)
    mlflow.log_metric("mae", mean_absolute_error(wanted, Ridge().fit(train, known).predict(test)))


if __name__ == "__main__":
    main()
