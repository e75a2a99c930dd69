"""OpenWeatherMap's answer for one city, or a word on why there is none.

Reads: `/data/2.5/weather?lat&lon&units&appid`, https://openweathermap.org/current. Writes: nothing.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tidegate.step import AccessDenied, BadInput, Secret, StepError
from tidegate.step.web import Call, call, is_json, public

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.fetch_weather.cities import City
    from tidegate.step.exchange import Reply
    from tidegate.step.web import Limits

URL = "https://api.openweathermap.org/data/2.5/weather"
UNITS = {"standard": "K", "metric": "°C", "imperial": "°F"}
"""What the API can be asked for, and the unit of its temperatures then."""
ALWAYS = ("coord", "dt", "main", "weather")
"""What an answer has whatever the weather; rain, snow and gusts are only there when there are any."""
KEY_REFUSED, UNKNOWN = (401, 403), (400, 404)


@dataclass(frozen=True, kw_only=True)
class Api:
    """How the API is called."""

    url: str
    key: Secret
    units: str
    limits: Limits
    pace: Pace


@dataclass
class Pace:
    """Lets calls through evenly, so that no minute sees more than `per_minute` of them; safe among threads."""

    per_minute: float
    _next: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self) -> None:
        """Return when the next call may be made."""
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next)
            self._next = at + 60 / self.per_minute
        time.sleep(at - now)


def weather_of(cities: Sequence[City], api: Api) -> list[dict[str, Any]]:
    """The weather of every city, in their order; the first that has none ends it, by name."""
    return [_weather(city, api) for city in cities]


def _weather(city: City, api: Api) -> dict[str, Any]:
    try:
        return _entry(_asked(city, api), city, url=api.url)
    except StepError as error:
        raise type(error)(f"no weather for {city}: {error}") from None


def _asked(city: City, api: Api) -> Reply:
    query: dict[str, str | Secret] = {"lat": str(city.lat), "lon": str(city.lon), "units": api.units, "appid": api.key}
    reply = call(Call(url=api.url, query=query), api.limits, before=api.pace.wait, is_whole=is_json)
    if reply.ok:
        return reply
    said = f"{public(api.url)} said {reply.status} {_message(reply)}".rstrip()
    if reply.status in KEY_REFUSED:
        raise AccessDenied(f"{said}; correct $OPENWEATHERMAP_KEY, or wait two hours if it is new")
    if reply.status in UNKNOWN:
        raise BadInput(f"{said}; correct this city in the list, or the API's URL")
    raise BadInput(f"{said}; correct the API's URL")


def _entry(reply: Reply, city: City, *, url: str) -> dict[str, Any]:
    """What is kept: the answer, under the name and id the city has in our list."""
    found = json.loads(reply.body)
    there: dict[str, Any] = found if isinstance(found, dict) else {}
    lacking = [name for name in ALWAYS if name not in there]
    if not lacking and not _is_number(there["main"], "temp"):
        lacking = ["main.temp"]
    if lacking:
        raise StepError(f"the answer has no {', '.join(lacking)}; is {public(url)} the call for one place?")
    return there | {"id": city.id, "name": city.name}


def _message(reply: Reply) -> str:
    """What the API says of its refusal."""
    try:
        return str(json.loads(reply.body)["message"])[:200]
    except (ValueError, TypeError, KeyError):
        return reply.reason


def _is_number(holder: object, name: str) -> bool:
    return isinstance(holder, dict) and isinstance(holder.get(name), int | float)
