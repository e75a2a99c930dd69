"""check_weather: a good file passes, and each fault of a bad one is told, all at once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from jobs import check_weather
from jobs.fetch_weather.cities import DEFAULT
from tests.jobs.steps import environment, fork_step, run_step
from tests.jobs.weather import MINUTE, NAMES, WeatherApi, fetch, laid_out
from tidegate.step import BadInput, Input, NotFound, Result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.jobs.conftest import Place

AT = int(MINUTE.timestamp())


def entries() -> list[dict[str, Any]]:
    main = {"temp": 280.5, "pressure": 1013, "humidity": 80}
    weather = [{"id": 800, "main": "Clear", "description": "clear sky", "icon": "01d"}]
    rest = {"dt": AT - 600, "main": main, "weather": weather}
    places = [
        {"id": one["id"], "name": one["name"], "coord": {"lat": one["lat"], "lon": one["lon"]}} for one in DEFAULT
    ]
    return [json.loads(json.dumps(place | rest)) for place in places]


def checked(place: Place, body: bytes, **changes: Any) -> Result:
    url = place.root / "weather_data.json"
    place.store.put(url, body)
    given = {"data": Input(url), "cities": DEFAULT, "logical_date": MINUTE} | changes
    return check_weather.run(check_weather.Settings(**given), place.store)


def file_of(found: list[dict[str, Any]], **more: object) -> bytes:
    return laid_out(json.dumps({"cnt": len(found), "list": found} | more).encode())


def test_what_the_step_wrote_passes_in_every_store(place: Place, weather_api: WeatherApi, tmp_path: Path) -> None:
    url = fetch(place, weather_api).outputs[0].url
    now = environment(tmp_path, inputs={"data": url}, params={"max_age_minutes": 10**8}) | dict(
        place.server.environment
    )
    process = run_step if place.server.root.startswith("file:") else fork_step
    done = process("check_weather", now | {"WEATHER_CITIES": json.dumps(DEFAULT)})
    assert (done.code, done.error) == (0, "")
    assert done.result is not None
    assert done.result["outputs"] == []
    assert done.result["metrics"]["cities"] == len(NAMES)


def test_a_good_file_passes_with_its_figures(file_place: Place) -> None:
    result = checked(file_place, file_of(entries()))
    assert result.metrics == {"cities": 6, "oldest_minutes": 10}
    assert checked(file_place, file_of(entries()[:1]), cities=[]).metrics["cities"] == 1


def changed(**values: object) -> bytes:
    found = entries()
    found[4] |= values
    return file_of(found)


def twice() -> bytes:
    found = entries()
    return file_of([*found[:5], found[0]])


FAULTS: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "it is not JSON"),
    "half": (lambda: file_of(entries())[:200], "it is not JSON"),
    "no envelope": (lambda: b"[]", 'it is not {"cnt": ..., "list": [...]}'),
    "one line": (lambda: json.dumps(json.loads(file_of(entries()))).encode(), "laid out otherwise"),
    "a newline more": (lambda: file_of(entries()) + b"\n", "laid out otherwise"),
    "another count": (lambda: file_of(entries(), cnt=7), "cnt is 7, and there are 6 entries"),
    "no city": (lambda: file_of([]), "there is no entry"),
    "a city less": (lambda: file_of(entries()[:5]), "these ids are missing: 5786882"),
    "a city more": (lambda: changed(id=99), "these ids were not asked for: 99"),
    "a city twice": (twice, "these ids are there more than once: 5747882"),
    "no object": (lambda: file_of([*entries()[:5], "x"]), "an entry is 'x', no object"),  # type: ignore[list-item]
    "no temperature": (lambda: changed(main={"pressure": 1, "humidity": 1}), "Tacoma (5812944): main.temp is None"),
    "a truth for a number": (lambda: changed(dt=True), "Tacoma (5812944): dt is True, want int"),
    "no weather": (lambda: changed(weather={}), "weather is {}, want list"),
    "old": (lambda: changed(dt=AT - 4 * 3600), "reported 240 min away from 2026-01-31 13:07 UTC, want 180"),
    "of the future": (lambda: changed(dt=AT + 5 * 3600), "reported 300 min away"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told(file_place: Place, name: str) -> None:
    body, words = FAULTS[name]
    with pytest.raises(BadInput) as caught:
        checked(file_place, body())
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_faults_are_told_at_once_and_not_without_end(file_place: Place) -> None:
    with pytest.raises(BadInput) as caught:
        checked(file_place, changed(dt=0, name=7, weather=None))
    assert len(str(caught.value).splitlines()) == 4
    with pytest.raises(BadInput, match="and 40 more faults"):
        checked(file_place, file_of([{"id": number} for number in range(6)]))


def test_how_old_is_too_old_can_be_set(file_place: Place) -> None:
    checked(file_place, changed(dt=AT - 4 * 3600), max_age_minutes=240)
    with pytest.raises(BadInput, match="reported 10 min away"):
        checked(file_place, file_of(entries()), max_age_minutes=9)
    with pytest.raises(BadInput):
        checked(file_place, file_of(entries()), logical_date=MINUTE + timedelta(days=1))


def test_a_file_that_is_not_there_is_named(place: Place) -> None:
    settings = check_weather.Settings(data=Input(place.root / "none.json"), logical_date=MINUTE)
    with pytest.raises(NotFound, match=r"none\.json does not exist"):
        check_weather.run(settings, place.store)
