"""The order of things in `fetch_weather`: look whether the minute has its file, ask for every city, publish once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 (the settings are read by their types)
from hashlib import sha256
from typing import Any

from jobs.fetch_weather import api, cities, envelope
from tidegate.step import Exists, NoBucket, NotFound, Output, Prefix, Result, Secret, Store, param, publish, secret
from tidegate.step.web import Limits


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What the step and the service are told alike."""

    cities: list[dict[str, Any]] = param(cities.DEFAULT, variable="WEATHER_CITIES", at_least=1)
    """Whose weather: `name`, `id`, `lat` and `lon` of each."""
    units: str = param("standard", variable="WEATHER_UNITS", choices=tuple(api.UNITS))
    """Of temperature and wind: kelvin and m/s, degrees Celsius and m/s, or degrees Fahrenheit and miles per hour."""
    api_url: str = param(api.URL, variable="WEATHER_URL", at_least=1)
    """The call for one place."""
    calls_per_minute: float = param(50, variable="WEATHER_CALLS_PER_MINUTE", above=0)
    """Calls in any minute at most; OpenWeatherMap's free plan allows 60."""
    timeout: float = param(10, above=0)
    """Seconds for one call, from connecting to the last byte."""
    tries: int = param(4, at_least=1, at_most=10)
    """How often a city is asked for when the API is throttling, broken or slow."""
    longest_wait: float = param(60, at_least=0)
    """Seconds that the API may ask to wait (Retry-After) before the rest is left to the next try of the task."""
    key: Secret = secret("OPENWEATHERMAP_KEY")
    """Opens the API."""


@dataclass(frozen=True, kw_only=True)
class Settings(Asking):
    """What fetch_weather can be told."""

    logical_date: datetime
    """The minute it is written under."""
    output: Prefix
    """Where the weather lies, such as `abfss://filesystem@account/raw/weather_data`."""


def run(settings: Settings, store: Store) -> Result:
    """Fetch and publish; a minute that has its file keeps it."""
    wanted = cities.parse(settings.cities)
    url = settings.output / envelope.path(settings.logical_date)
    if kept := _kept(store, url):
        return _result(settings, *kept, note="was there already")
    body = envelope.to_bytes(api.weather_of(wanted, api_of(settings)))
    try:
        return _result(settings, publish(store, "weather", url, body, create_once=True), body, note="written")
    except Exists:
        output, there = _kept(store, url) or (None, b"")
        if output is None:
            raise
        return _result(settings, output, there, note="written by another run of this minute")


def api_of(asking: Asking) -> api.Api:
    """How the API is called, by these settings."""
    limits = Limits(timeout=asking.timeout, max_bytes=64 * 1024, tries=asking.tries, longest_wait=asking.longest_wait)
    pace = api.Pace(asking.calls_per_minute)
    return api.Api(url=asking.api_url, key=asking.key, units=asking.units, limits=limits, pace=pace)


def _kept(store: Store, url: Prefix) -> tuple[Output, bytes] | None:
    """The file of this minute, if there is one."""
    try:
        with store.open(url) as stream:
            stat, body = stream.stat, stream.read()
    except NoBucket:
        raise
    except NotFound:
        return None
    digest = sha256(body).hexdigest()
    return Output(name="weather", url=url, size=stat.size, sha256=digest, etag=stat.etag), body


def _result(settings: Asking, output: Output, body: bytes, *, note: str) -> Result:
    found = envelope.temperatures(body, unit=api.UNITS[settings.units], url=output.url)
    return Result(outputs=(output,), metrics=found, summary=f"weather of {len(found)} cities, {note}: {output.url}")
