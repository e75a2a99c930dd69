"""Finds which people of a batch are known, and stores the others, each exactly once.

Reads: input `people` (Parquet, CSV or JSON Lines), optionally `model` (another matching model) and `prepared` (the
folder of what pods of stage "prepare" wrote); the people's PostgreSQL.
Writes: schema `people` in chunks of one transaction each, then `report.json`, `results.jsonl`, `rejected.jsonl` and
`histogram.png` under the output, and one mail in the outbox.
Again: the same content is the same batch. Rows that have a decision keep it, a finished batch tells its stored counts;
a kill at any point, a retry or two batches at once neither insert a person twice nor lose one.
"""

from __future__ import annotations

from jobs.dedup_people.step import Settings, run

__all__ = ["Settings", "run"]
