"""Makes a batch of people that do not exist, some of them faulty copies of others, with the truth beside it.

Reads: nothing but its settings and the hour of the run's logical date.
Writes: `people.parquet` (record_id, first_name, last_name, address) and `truth.parquet` (record_id, person, kind).
Again: the same hour gives the same bytes, so a retry, or a run by hand beside the scheduled one, makes the same batch.
"""

from __future__ import annotations

from jobs.make_people.step import Settings, run

__all__ = ["Settings", "run"]
