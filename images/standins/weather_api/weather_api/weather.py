"""Weather made up from a place and an hour: the same question has the same answer. https://openweathermap.org/current."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

ZERO_CELSIUS = 273.15
MILES_PER_HOUR = 2.236936
"""In one metre per second."""
REPORT_SECONDS = 600
"""Between two reports of a station."""
NEAR = 0.1
"""Degrees within which a place is one of those known."""
SKIES = (
    (800, "Clear", "clear sky", "01d"),
    (802, "Clouds", "scattered clouds", "03d"),
    (804, "Clouds", "overcast clouds", "04d"),
    (500, "Rain", "light rain", "10d"),
    (600, "Snow", "light snow", "13d"),
)


class Place(NamedTuple):
    """A city."""

    name: str
    id: int
    lat: float
    lon: float


PLACES = (
    Place("Redmond", 5747882, 47.674, -122.1215),
    Place("Seattle", 5809844, 47.6062, -122.3321),
    Place("Kirkland", 5799841, 47.6815, -122.2087),
    Place("Woodinville", 5816449, 47.7543, -122.1635),
    Place("Tacoma", 5812944, 47.2529, -122.4443),
    Place("Bellevue", 5786882, 47.6104, -122.2007),
)


def place_of(lat: float, lon: float) -> Place:
    """The known city nearest to a point, or a nameless place where none is near."""
    nearest = min(PLACES, key=lambda one: (one.lat - lat) ** 2 + (one.lon - lon) ** 2)
    if abs(nearest.lat - lat) <= NEAR and abs(nearest.lon - lon) <= NEAR:
        return nearest
    return Place("", 0, lat, lon)


def weather(place: Place, *, at: float, units: str) -> dict[str, Any]:
    """An answer of `/data/2.5/weather`; `at` is the Unix time of the question."""
    reported = int(at) - int(at) % REPORT_SECONDS
    draw = random.Random(f"{place.lat} {place.lon} {reported // 3600}")  # noqa: S311 (makes up weather)
    sky = draw.choice(SKIES)
    kelvin = draw.uniform(268, 303) if sky[1] != "Snow" else draw.uniform(262, 273)
    metres_per_second = draw.uniform(0, 12)
    found: dict[str, Any] = {
        "coord": {"lon": place.lon, "lat": place.lat},
        "weather": [dict(zip(("id", "main", "description", "icon"), sky, strict=True))],
        "base": "stations",
        "main": _main(draw, kelvin, units),
        "visibility": draw.choice((10000, 8000, 4000)),
        "wind": {"speed": _speed(metres_per_second, units), "deg": draw.randrange(360)},
        "clouds": {"all": draw.randrange(101)},
        "dt": reported,
        "sys": {"type": 2, "id": 2004026, "country": "US", "sunrise": _day(at, 15), "sunset": _day(at, 25)},
        "timezone": -28800,
        "id": place.id,
        "name": place.name,
        "cod": 200,
    }
    wet = {"Rain": "rain", "Snow": "snow"}.get(sky[1])
    return found | ({wet: {"1h": round(draw.uniform(0.1, 3), 2)}} if wet else {})


def _main(draw: random.Random, kelvin: float, units: str) -> dict[str, float]:
    pressure = draw.randrange(985, 1035)
    near = {"temp": 0.0, "feels_like": -1.3, "temp_min": -0.9, "temp_max": 0.8}
    temperatures = {name: _temperature(kelvin + by, units) for name, by in near.items()}
    return {**temperatures, "pressure": pressure, "humidity": draw.randrange(30, 101), "sea_level": pressure}


def _temperature(kelvin: float, units: str) -> float:
    celsius = kelvin - ZERO_CELSIUS
    return round({"metric": celsius, "imperial": celsius * 9 / 5 + 32}.get(units, kelvin), 2)


def _speed(metres_per_second: float, units: str) -> float:
    return round(metres_per_second * (MILES_PER_HOUR if units == "imperial" else 1), 2)


def _day(at: float, hour: int) -> int:
    return int(at) - int(at) % 86400 + hour * 3600
