"""Looks at a file of weather as somebody who relies on it would: count, schema, layout and freshness.

Reads: input `data`, a file as fetch_weather writes it; the cities that should be in it. Writes: nothing; its metrics
are the cities and the age of the oldest report. Again: the same answer for the same file and run.
"""

from __future__ import annotations

from jobs.check_weather.step import Settings, run

__all__ = ["Settings", "run"]
