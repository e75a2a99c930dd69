"""Whatever goes wrong: no half file, no empty one; tries are bounded, the cause is told, and the next run is well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.jobs.weather import FILE, TACOMA, Admin, WeatherApi, assert_whole, fetch, lake_admin
from tests.ports import free_port
from tidegate.step import AccessDenied, BadInput, BadSettings, NoBucket, Secret, StepError, TryAgain
from tidegate.step.stores import router

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.jobs.conftest import Place

MANY = 1000


@pytest.fixture
def lake(abfss_place: Place) -> Iterator[Admin]:
    """The admin endpoint of a lake without faults."""
    admin = lake_admin(abfss_place)
    admin.forget()
    yield admin
    admin.forget()


def assert_nothing_there_and_next_run_well(place: Place, api: WeatherApi) -> None:
    assert list(place.store.list(place.root)) == []
    api.admin.forget()
    fetch(place, api)
    assert_whole(place.store.get(place.root / FILE))


API_FAULTS: dict[str, tuple[dict[str, Any], type[StepError], str]] = {
    "429": ({"do": "status", "status": 429, "headers": {"Retry-After": "2"}}, TryAgain, "429 Too Many Requests"),
    "500": ({"do": "status", "status": 500}, TryAgain, "500 Internal Server Error"),
    "503": ({"do": "status", "status": 503}, TryAgain, "503 Service Unavailable"),
    "slow": ({"do": "slow", "seconds": 0.9}, TryAgain, r"no whole answer within 0\.6 s"),
    "torn": ({"do": "torn"}, TryAgain, "the answer was torn"),
    "lost": ({"do": "lose"}, TryAgain, "without an answer"),
}


def patience(name: str) -> float:
    """Seconds for a call: few only where running out of them is what is tested."""
    return 0.6 if name == "slow" else 10


@pytest.mark.parametrize("name", API_FAULTS)
def test_a_fault_of_the_api_that_stays_ends_in_words_and_nothing_written(
    abfss_place: Place, weather_api: WeatherApi, slept: list[float], name: str
) -> None:
    fault, kind, words = API_FAULTS[name]
    weather_api.admin.tell("weather", **{"match": TACOMA, "times": MANY, **fault})
    with pytest.raises(kind, match=rf"no weather for Tacoma \(5812944 at .*GET http://.*/weather.*{words}") as caught:
        fetch(abfss_place, weather_api, tries=3, timeout=patience(name))
    assert caught.value.exit_code == 75
    assert len(weather_api.admin.taken()) == 3, "tries are bounded"
    assert_nothing_there_and_next_run_well(abfss_place, weather_api)


@pytest.mark.parametrize("name", API_FAULTS)
def test_a_fault_of_the_api_that_passes_is_ridden_out(
    abfss_place: Place, weather_api: WeatherApi, slept: list[float], name: str
) -> None:
    weather_api.admin.tell("weather", **{"match": TACOMA, "times": 2, **API_FAULTS[name][0]})
    fetch(abfss_place, weather_api, timeout=patience(name))
    assert len(weather_api.admin.taken()) == 2
    assert_whole(abfss_place.store.get(abfss_place.root / FILE))
    if name == "429":
        assert slept.count(2) == 2, "Retry-After is obeyed"


def test_a_wait_that_is_asked_for_too_long_is_left_to_the_next_try(
    abfss_place: Place, weather_api: WeatherApi, slept: list[float]
) -> None:
    weather_api.admin.tell("weather", "status", status=429, times=MANY, headers={"Retry-After": "3600"})
    with pytest.raises(TryAgain, match="a wait of 3600 s was asked for, more than the 60 s that are waited for"):
        fetch(abfss_place, weather_api)
    assert len(weather_api.admin.taken()) == 1
    assert max(slept) < 1
    assert_nothing_there_and_next_run_well(abfss_place, weather_api)


def test_a_wrong_key_is_told_at_once(abfss_place: Place, weather_api: WeatherApi, slept: list[float]) -> None:
    weather_api.admin.tell("weather", "slow", times=MANY)
    with pytest.raises(AccessDenied, match=r"said 401 Invalid API key.*correct \$OPENWEATHERMAP_KEY") as caught:
        fetch(abfss_place, weather_api, key=Secret("not-the-key"))
    assert caught.value.exit_code == 2
    assert "not-the-key" not in str(caught.value)
    assert_nothing_there_and_next_run_well(abfss_place, weather_api)


@pytest.mark.parametrize("status", [400, 404])
def test_one_unknown_city_is_named_and_nothing_is_written(
    abfss_place: Place, weather_api: WeatherApi, status: int
) -> None:
    weather_api.admin.tell("weather", "status", match=TACOMA, status=status)
    with pytest.raises(BadInput, match=r"no weather for Tacoma .*correct this city in the list") as caught:
        fetch(abfss_place, weather_api)
    assert caught.value.exit_code == 2
    assert len(weather_api.admin.taken()) == 1
    assert_nothing_there_and_next_run_well(abfss_place, weather_api)


def test_an_api_that_is_not_there_is_told(abfss_place: Place, weather_api: WeatherApi, slept: list[float]) -> None:
    with pytest.raises(TryAgain, match=r"no weather for Redmond .*tried 2 times; the last time: ConnectionRefused"):
        fetch(abfss_place, weather_api, api_url=f"http://127.0.0.1:{free_port()}/data/2.5/weather", tries=2)
    assert_nothing_there_and_next_run_well(abfss_place, weather_api)


CALLS = ("create", "append", "flush", "rename")
REFUSALS: dict[int, type[StepError]] = {403: AccessDenied, 503: TryAgain}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", REFUSALS)
@pytest.mark.usefixtures("slept")
def test_a_lake_that_refuses_leaves_nothing_to_be_seen(
    abfss_place: Place, weather_api: WeatherApi, lake: Admin, call: str, status: int
) -> None:
    lake.tell(call, "status", status=status, times=MANY)
    with pytest.raises(REFUSALS[status], match=rf"{FILE}: the service .*({status}|refused the credentials)"):
        fetch(abfss_place, weather_api)
    assert 1 <= len(lake.taken()) <= 6, "tries are bounded"
    lake.forget()
    assert_nothing_there_and_next_run_well(abfss_place, weather_api)


@pytest.mark.parametrize("call", CALLS)
def test_an_answer_of_the_lake_that_is_lost_once_does_no_harm(
    abfss_place: Place, weather_api: WeatherApi, lake: Admin, slept: list[float], call: str
) -> None:
    lake.tell(call, "lose")
    fetch(abfss_place, weather_api)
    assert lake.taken() == [f"{call} lose"]
    assert_whole(abfss_place.store.get(abfss_place.root / FILE))
    assert [stat.url for stat in abfss_place.store.list(abfss_place.root)] == [abfss_place.root / FILE]


def test_a_lake_without_the_filesystem_is_told_before_the_api_is_asked(
    abfss_place: Place, weather_api: WeatherApi
) -> None:
    weather_api.admin.tell("weather", "slow", times=MANY)
    with pytest.raises(NoBucket, match=r"the filesystem 'nowhere' .*create it"):
        fetch(abfss_place, weather_api, output=type(abfss_place.root)("abfss://nowhere@lake/raw"))
    assert weather_api.admin.taken() == []


def test_the_identity_of_the_lake_is_named_when_there_is_none(
    abfss_place: Place, weather_api: WeatherApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_KEY")
    router._store.cache_clear()
    with pytest.raises(BadSettings, match=r"workload identity .*AZURE_CLIENT_SECRET, or \$AZURE_STORAGE_KEY"):
        router.store_for(abfss_place.root)
