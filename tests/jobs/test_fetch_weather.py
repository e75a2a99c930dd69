"""fetch_weather: the file of a minute, written once, whole and exactly as specified, from real servers."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from jobs.fetch_weather import Settings
from jobs.fetch_weather.api import Pace
from jobs.fetch_weather.cities import DEFAULT, parse
from tests.jobs.steps import environment, run_step
from tests.jobs.test_store_contract import together
from tests.jobs.weather import FILE, KEY, MINUTE, NAMES, WeatherApi, assert_whole, fetch, laid_out
from tidegate.step import BadInput, BadSettings, Exists, StepError
from tidegate.step.settings import read

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.conftest import Place

CALLS = {"call": "weather", "do": "slow", "times": 1000}
"""A fault that does nothing but count."""


def test_the_step_writes_the_file_of_its_minute_and_tells_what_it_wrote(
    abfss_place: Place, weather_api: WeatherApi, tmp_path: Path
) -> None:
    environ = environment(tmp_path, output=abfss_place.root, logical_date="2026-01-31T15:07:31.5+02:00")
    done = run_step("fetch_weather", environ | dict(abfss_place.server.environment) | weather_api.environment)
    assert (done.code, done.error) == (0, "")
    body = abfss_place.store.get(abfss_place.root / FILE)
    assert_whole(body)
    assert done.result is not None
    (output,) = done.result["outputs"]
    assert (output["name"], output["url"], output["size"]) == ("weather", abfss_place.root / FILE, len(body))
    assert (output["sha256"], output["etag"]) == (
        sha256(body).hexdigest(),
        abfss_place.store.stat(output["url"]).etag,
    )
    assert list(done.result["metrics"]) == [f"{name} [K]" for name in NAMES]
    assert all(250 < kelvin < 310 for kelvin in done.result["metrics"].values())


def test_the_bytes_are_sorted_indented_and_separated_as_specified(place: Place, weather_api: WeatherApi) -> None:
    fetch(place, weather_api)
    body = place.store.get(place.root / FILE)
    assert body == laid_out(body)
    text = body.decode()
    assert text.startswith('{\n    "cnt": 6,\n    "list": [\n        {\n            "base": "stations",\n')
    assert text.endswith("\n        }\n    ]\n}")
    assert [stat.url for stat in place.store.list(place.root)] == [place.root / FILE]


def test_ids_and_names_are_those_of_the_list(abfss_place: Place, weather_api: WeatherApi) -> None:
    """The API answers for the station that is nearest, under its own name."""
    here = [{"name": "Home", "id": 7, "lat": 47.6, "lon": -122.33}, {"name": "Ocean", "id": 8, "lat": 0, "lon": 0}]
    result = fetch(abfss_place, weather_api, cities=here, units="metric")
    document = json.loads(abfss_place.store.get(abfss_place.root / FILE))
    assert [(entry["id"], entry["name"]) for entry in document["list"]] == [(7, "Home"), (8, "Ocean")]
    assert list(result.metrics) == ["Home [°C]", "Ocean [°C]"]
    assert all(-20 < celsius < 40 for celsius in result.metrics.values())


def test_same_minute_is_written_once(place: Place, weather_api: WeatherApi) -> None:
    first = fetch(place, weather_api)
    before = place.store.stat(place.root / FILE)
    weather_api.admin.tell(**CALLS)
    again = fetch(place, weather_api, logical_date=MINUTE + timedelta(seconds=59))
    assert place.store.stat(place.root / FILE) == before
    assert again.outputs == first.outputs
    assert weather_api.admin.taken() == [], "a minute that has its file asks nobody"
    fetch(place, weather_api, logical_date=MINUTE + timedelta(minutes=1))
    assert len(list(place.store.list(place.root))) == 2


def test_of_runs_of_one_minute_at_once_one_writes_and_none_fails(abfss_place: Place, weather_api: WeatherApi) -> None:
    results: list[Any] = []
    together(3, lambda _: results.append(fetch(abfss_place, weather_api)))
    assert len(results) == 3
    assert len({result.outputs for result in results}) == 1
    assert_whole(abfss_place.store.get(abfss_place.root / FILE))


def test_a_file_of_somebody_elses_at_that_place_is_told_and_left(abfss_place: Place, weather_api: WeatherApi) -> None:
    abfss_place.store.put(abfss_place.root / FILE, b"not ours")
    with pytest.raises(BadInput, match=r"holds no weather .*move it away"):
        fetch(abfss_place, weather_api)
    assert abfss_place.store.get(abfss_place.root / FILE) == b"not ours"


def test_an_answer_that_is_no_weather_is_told(abfss_place: Place, weather_api: WeatherApi) -> None:
    with pytest.raises(StepError, match=r"Redmond .*has no coord, dt, main, weather; is http://.*/healthz the call"):
        fetch(abfss_place, weather_api, api_url=f"http://{weather_api.address}/healthz")
    with pytest.raises(BadInput, match=r"Redmond .*said 401 This call is no longer available"):
        fetch(abfss_place, weather_api, api_url=f"http://{weather_api.address}/data/2.5/group")
    assert list(abfss_place.store.list(abfss_place.root)) == []


def test_calls_are_paced() -> None:
    slept: list[float] = []
    clock = [100.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    with patch("time.sleep", sleep), patch("time.monotonic", lambda: clock[0]):
        pace = Pace(30)
        for _ in range(4):
            pace.wait()
        clock[0] += 10
        pace.wait()
    assert slept == [0, 2, 2, 2, 0]


def settings_of(**environ: object) -> Settings:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in environ.items()}
    run = {"logical_date": "2026-01-31T13:07:00+00:00"}
    given = {"OPENWEATHERMAP_KEY": KEY, "TIDEGATE_OUTPUT": "file:///tmp/x", "TIDEGATE_RUN": json.dumps(run)}
    return read(Settings, given | texts)


def test_the_charts_values_hold_where_the_run_says_nothing() -> None:
    home = [{"name": "Home", "id": 1, "lat": 1, "lon": 2}]
    assert settings_of().cities == DEFAULT
    assert [city.name for city in parse(settings_of().cities)] == NAMES
    asked = settings_of(WEATHER_CITIES=home, WEATHER_UNITS="metric", WEATHER_CALLS_PER_MINUTE="7")
    assert (asked.cities, asked.units, asked.calls_per_minute) == (home, "metric", 7)
    asked = settings_of(WEATHER_CITIES=DEFAULT, WEATHER_UNITS="metric", TIDEGATE_PARAMS={"cities": home})
    assert (asked.cities, asked.units) == (home, "metric")
    assert KEY not in repr(asked)


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"OPENWEATHERMAP_KEY": ""}, r"\$OPENWEATHERMAP_KEY is not set; want a secret"),
        ({"WEATHER_UNITS": "celsius"}, r"\$WEATHER_UNITS is .*want text, one of standard, metric, imperial"),
        ({"WEATHER_CITIES": []}, r"\$WEATHER_CITIES is .*at least 1"),
        ({"WEATHER_CITIES": "Redmond"}, r"\$WEATHER_CITIES is .*want a list"),
        ({"TIDEGATE_PARAMS": {"api_key": "x"}}, "has 'api_key', want api_url, calls_per_minute, cities"),
    ],
)
def test_a_setting_that_cannot_be_is_named(environ: dict[str, object], fault: str) -> None:
    with pytest.raises(BadSettings, match=fault):
        settings_of(**environ)


def test_all_cities_that_are_none_are_told_at_once() -> None:
    good = {"name": "A", "id": 1, "lat": 90, "lon": -180}
    bad = [{}, {**good, "lat": 91}, {**good, "id": "1"}, {**good, "id": True}, {**good, "name": " "}, {**good, "x": 1}]
    with pytest.raises(BadSettings) as caught:
        parse([good, *bad])
    assert len(caught.value.faults) == len(bad)
    with pytest.raises(BadSettings, match="the id 1 twice"):
        parse([good, good])


def test_what_is_published_meanwhile_is_kept(abfss_place: Place, weather_api: WeatherApi) -> None:
    """Another run of the same minute is faster, after this one has looked."""
    real, url = abfss_place.store.put, abfss_place.root / FILE
    fetch(abfss_place, weather_api)
    kept = abfss_place.store.get(url)
    abfss_place.store.delete(url)

    def put(where: str, data: Any, **options: Any) -> Any:
        real(url, kept)
        return real(where, data, **options)

    with patch.object(abfss_place.store, "put", put):
        result = fetch(abfss_place, weather_api)
    assert "written by another run" in result.summary
    assert abfss_place.store.get(url) == kept
    with pytest.raises(Exists):
        real(url, b"x", create_once=True)


def test_reports_are_of_now(abfss_place: Place, weather_api: WeatherApi) -> None:
    fetch(abfss_place, weather_api)
    entries = json.loads(abfss_place.store.get(abfss_place.root / FILE))["list"]
    assert all(time.time() - 700 < entry["dt"] <= time.time() for entry in entries)
    assert datetime.fromtimestamp(entries[0]["dt"], MINUTE.tzinfo).year >= 2026
