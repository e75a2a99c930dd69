"""A finished batch's files and the step's result.

Reads: the stored batch. Writes: four objects under the output. Again: objects with the same content.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jobs.dedup_people import batch as batches
from jobs.dedup_people.histogram import draw
from jobs.dedup_people.report import Stream, rejected, results
from tidegate.step import Result, publish

if TYPE_CHECKING:
    from uuid import UUID

    import psycopg

    from jobs.dedup_people.spool import Spool
    from tidegate.step import Prefix, Store


def publish_batch(connection: psycopg.Connection, batch: UUID, spool: Spool, output: Prefix, store: Store, *,
                  counts: dict[str, int], seconds: float, known: bool) -> Result:  # fmt: skip
    """Write the files, and sum the batch up."""
    report = {"batch_id": str(batch), "counts": counts} | batches.told(connection, batch)
    picture = draw(batches.histogram(connection, batch), title=f"batch {batch}")
    outputs = (
        publish(store, "results", output / "results.jsonl", Stream(results(connection, batch))),
        publish(store, "rejected", output / "rejected.jsonl", Stream(rejected(spool.rejected()))),
        publish(store, "histogram", output / "histogram.png", picture),
        publish(store, "report", output / "report.json", json.dumps(report, indent=1).encode()),
    )
    told = ", ".join(f"{counts[name]:,} {name}" for name in ("new", "match", "review", "rejected"))
    metrics = {"records": len(spool), **counts, "seconds": round(seconds, 3)}
    again = ", as committed before" if known else ""
    return Result(outputs=outputs, metrics=metrics, summary=f"{len(spool):,} records: {told}{again}")
