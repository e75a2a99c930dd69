"""The cities that are asked for: a name, an id and where they lie."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegate.step import BadSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT: list[dict[str, Any]] = [
    {"name": "Redmond", "id": 5747882, "lat": 47.674, "lon": -122.1215},
    {"name": "Seattle", "id": 5809844, "lat": 47.6062, "lon": -122.3321},
    {"name": "Kirkland", "id": 5799841, "lat": 47.6815, "lon": -122.2087},
    {"name": "Woodinville", "id": 5816449, "lat": 47.7543, "lon": -122.1635},
    {"name": "Tacoma", "id": 5812944, "lat": 47.2529, "lon": -122.4443},
    {"name": "Bellevue", "id": 5786882, "lat": 47.6104, "lon": -122.2007},
]
"""Where neither a run nor the chart's values name others."""

NORTHMOST, EASTMOST = 90.0, 180.0
WANTED = 'want {"name": text, "id": whole number, "lat": -90 to 90, "lon": -180 to 180}'


@dataclass(frozen=True, kw_only=True)
class City:
    """One place."""

    name: str
    id: int
    """OpenWeatherMap's."""
    lat: float
    """Degrees north."""
    lon: float
    """Degrees east."""

    def __str__(self) -> str:
        return f"{self.name} ({self.id} at {self.lat}, {self.lon})"


def parse(entries: Sequence[dict[str, Any]]) -> tuple[City, ...]:
    """The cities, in the order given; BadSettings has a line for every entry that is none."""
    faults = [f"city {place}: {entry!r} is none; {WANTED}" for place, entry in enumerate(entries) if not _fits(entry)]
    if faults:
        raise BadSettings(*faults)
    cities = tuple(City(**entry) for entry in entries)
    twice = [str(number) for number, count in Counter(city.id for city in cities).items() if count > 1]
    if twice:
        raise BadSettings(f"cities name the id {', '.join(twice)} twice; want every city once")
    return cities


def _fits(entry: object) -> bool:
    if not isinstance(entry, dict) or set(entry) != {"name", "id", "lat", "lon"}:
        return False
    if any(isinstance(value, bool) for value in entry.values()):
        return False
    name, number, lat, lon = (entry[key] for key in ("name", "id", "lat", "lon"))
    texts = isinstance(name, str) and bool(name.strip()) and isinstance(number, int)
    return texts and _within(lat, NORTHMOST) and _within(lon, EASTMOST)


def _within(value: object, most: float) -> bool:
    return isinstance(value, int | float) and abs(value) <= most
