"""The order of things in `check_weather`: read, find every fault, tell them all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 (the settings are read by their types)
from typing import Any

from jobs.check_weather import faults
from tidegate.step import BadInput, Input, Result, Store, param

SHOWN = 10
"""Faults that are told at most."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What check_weather can be told."""

    data: Input
    """The file."""
    cities: list[dict[str, Any]] = param([], variable="WEATHER_CITIES")
    """The cities that should be in it, by their `id`; any where none is named."""
    max_age_minutes: float = param(180, above=0)
    """Minutes that a report may be away from the run's logical date; stations report every hour or so."""
    logical_date: datetime
    """The minute the file is for."""


def run(settings: Settings, store: Store) -> Result:
    """Check; BadInput has a line for every fault."""
    body = store.get(settings.data)
    wanted = [city.get("id") for city in settings.cities]
    found = faults.of(body, wanted=wanted, moment=settings.logical_date, most_minutes=settings.max_age_minutes)
    if found:
        more = [f"and {len(found) - SHOWN} more faults"] if len(found) > SHOWN else []
        head = f"{settings.data} is not as it should be; look at what wrote it:"
        raise BadInput("\n".join([head, *found[:SHOWN], *more]))
    entries = json.loads(body)["list"]
    oldest = max(faults.minutes_away(entry, settings.logical_date) for entry in entries)
    return Result(
        metrics={"cities": len(entries), "oldest_minutes": round(oldest, 1)},
        summary=f"{len(entries)} cities, no report further than {oldest:.0f} min from the run",
    )
