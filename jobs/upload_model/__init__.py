"""Publishes a trained model under the hour of its run, once it has been loaded back and scored.

Reads: inputs `model` (the pickle), `card` (what train_model says of it) and `holdout` (rows to score with).
Writes: `YYYY/MM/DD/HH/model-<sha256>.pkl`, then `YYYY/MM/DD/HH/model_card.json`, which names it and is the one
switch, then `latest.json`, all under the output; the hour is the run's logical date in UTC.
Again: the same model in the same hour changes nothing; another one takes its place by the card. `latest.json` never
goes back to an earlier hour.
"""

from __future__ import annotations

from jobs.upload_model.step import Settings, run

__all__ = ["Settings", "run"]
