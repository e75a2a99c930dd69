"""The weather stand-in answers as OpenWeatherMap does today: what is asked for, what is refused, and in which words."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from tests.jobs import weather
from tests.jobs.weather import KEY, WeatherApi

if TYPE_CHECKING:
    from pathlib import Path

SEATTLE = {"lat": "47.6062", "lon": "-122.3321"}


def ask(api: WeatherApi, path: str = "/data/2.5/weather", **query: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    connection = http.client.HTTPConnection(api.address, timeout=10)
    try:
        connection.request("GET", f"{path}?{urlencode({'appid': KEY} | query)}")
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), dict(answer.getheaders())
    finally:
        connection.close()


def test_one_place_is_answered_with_all_that_the_real_one_says(weather_api: WeatherApi) -> None:
    status, found, _ = ask(weather_api, **SEATTLE)
    assert status == 200
    always = {"base", "clouds", "cod", "coord", "dt", "id", "main", "name", "sys", "timezone", "visibility", "weather"}
    assert always | {"wind"} <= found.keys() <= always | {"wind", "rain", "snow"}
    assert (found["cod"], found["id"], found["name"]) == (200, 5809844, "Seattle")
    assert {"temp", "feels_like", "temp_min", "temp_max", "pressure", "humidity"} <= found["main"].keys()
    assert ask(weather_api, id="5809844")[1] == found


def test_units_change_temperature_and_wind(weather_api: WeatherApi) -> None:
    kelvin, celsius, fahrenheit = (
        ask(weather_api, **SEATTLE, units=units)[1] for units in ("standard", "metric", "imperial")
    )
    assert kelvin["main"]["temp"] == pytest.approx(celsius["main"]["temp"] + 273.15, abs=0.02)
    assert fahrenheit["main"]["temp"] == pytest.approx(celsius["main"]["temp"] * 9 / 5 + 32, abs=0.03)
    assert kelvin["wind"]["speed"] == celsius["wind"]["speed"]
    assert kelvin["main"]["pressure"] == fahrenheit["main"]["pressure"]


@pytest.mark.parametrize(
    ("path", "query", "status", "cod", "words"),
    [
        ("/data/2.5/weather", {**SEATTLE, "appid": ""}, 401, 401, "Invalid API key"),
        ("/data/2.5/weather", {**SEATTLE, "appid": "wrong"}, 401, 401, "Invalid API key"),
        ("/data/2.5/group", {"id": "1,2"}, 401, 401, "no longer available"),
        ("/data/2.5/box/city", {}, 401, 401, "no longer available"),
        ("/data/2.5/weather", {}, 400, "400", "Nothing to geocode"),
        ("/data/2.5/weather", {"lat": "91", "lon": "0"}, 400, "400", "wrong latitude"),
        ("/data/2.5/weather", {"lat": "0", "lon": "east"}, 400, "400", "wrong longitude"),
        ("/data/2.5/weather", {"id": "1"}, 404, "404", "city not found"),
        ("/other", {}, 404, "404", "error"),
    ],
)
def test_what_the_real_one_refuses_is_refused(
    weather_api: WeatherApi, path: str, query: dict[str, str], *, status: int, cod: object, words: str
) -> None:
    answered, found, _ = ask(weather_api, path, **query)
    assert (answered, found["cod"]) == (status, cod)
    assert words in found["message"]


def test_over_the_limit_it_asks_to_wait(tmp_path: Path) -> None:
    with weather.weather_api(tmp_path, per_minute=3) as api:
        assert [ask(api, **SEATTLE)[0] for _ in range(4)] == [200, 200, 200, 429]
        assert ask(api, **SEATTLE, appid="wrong")[0] == 401
        _, found, headers = ask(api, **SEATTLE)
        assert "exceeding" in found["message"]
        assert 50 <= int(headers["Retry-After"]) <= 61
