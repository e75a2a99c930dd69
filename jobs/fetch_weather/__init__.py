"""Writes the present weather of some cities to a data lake, once for every minute that has a run.

Reads: OpenWeatherMap's `/data/2.5/weather`, one call for each city, paced under the plan's limit; its key from
`$OPENWEATHERMAP_KEY`, which is in no log, message or result.
Writes: `YYYY/MM/DD/HH/mm/weather_data.json` under the output, the minute being the run's logical date in UTC:
`{"cnt", "list"}`, keys sorted, indent 4, `,` and `: ` between; an entry is what the API said, under the id and name
of the list of cities. Nothing is written unless every city was answered for.
Again: a minute that has its file keeps it, and nobody is asked. `fetch_weather serve` answers `POST /weather` with the
same bytes instead.
"""

from __future__ import annotations

from jobs.fetch_weather import service
from jobs.fetch_weather.step import Settings, run

__all__ = ["Settings", "run", "service"]
