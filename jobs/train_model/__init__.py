"""Trains a random forest on a CSV with a numeric target, and says how good it is on rows it has not seen.

Reads: input `data`, a CSV in UTF-8 (with or without BOM) with a header, all cells numbers; streamed, never on disk.
Writes: `model.pkl`, `holdout.csv`, `predicted_vs_actual.png`, `importances.png` and last `model_card.json`, which
names the model's sha256, versions, data, parameters and metrics (mae, mse, rmse, r2).
Again: the same data and parameters make the same bytes.
"""

from __future__ import annotations

from jobs.train_model.step import Settings, run

__all__ = ["Settings", "run"]
