"""Faults of the weather API and of the lake, and the weather by way of its service, on the cluster: `make soak`.

Every fault is a test of the step on real servers in `tests/jobs` as well; here it goes through pods and Airflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import weather
from tests.jobs.weather import TACOMA, assert_whole
from tidegate.cli import release, runs, step_pods
from tidegate.cli.kubectl import STEPS_NAMESPACE
from tidegate.cluster import chart, commands
from tidegate.cluster.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl


@pytest.fixture(scope="module", autouse=True)
def unpaused(api: Airflow) -> Iterator[None]:
    api.unpause("weather")
    yield
    api.call("PATCH", "dags/weather", json={"is_paused": True})


@pytest.fixture(scope="module")
def lake(kubectl: Kubectl) -> Iterator[weather.Lake]:
    with weather.lake_of(kubectl) as found:
        yield found


def failing(api: Airflow, moment: datetime) -> str:
    """The log of fetch_weather in a run of that moment, which fails."""
    run, state = weather.ended(api, moment)
    assert state == "failed"
    task = next(one for one in api.tasks("weather", run.run_id) if one["task_id"] == "fetch_weather")
    assert (task["state"], task["try_number"]) == ("failed", 1), "what only a person can mend is not tried again"
    return "\n".join(api.log("weather", run.run_id, "fetch_weather", attempt=1))


def test_an_unknown_city_is_named_and_nothing_is_written(api: Airflow, lake: weather.Lake, kubectl: Kubectl) -> None:
    moment = weather.free_minute(lake)
    with weather.faults(kubectl, "deployment/weather-api", 8081) as admin:
        admin.tell("weather", "status", match=TACOMA, status=404, times=1000)
        assert "no weather for Tacoma" in failing(api, moment)
    assert not lake.has(weather.path_of(moment))
    weather.succeeded(api, weather.free_minute(lake))


def test_a_lake_that_refuses_the_last_call_shows_nothing(api: Airflow, lake: weather.Lake, kubectl: Kubectl) -> None:
    moment = weather.free_minute(lake)
    with weather.faults(kubectl, "statefulset/datalake", 10002) as admin:
        admin.tell("rename", "status", status=403, times=1000)
        assert "refused the credentials" in failing(api, moment)
        assert "rename status" in admin.taken()
    assert not lake.has(weather.path_of(moment))
    weather.succeeded(api, weather.free_minute(lake))


def test_a_throttling_api_is_waited_for(api: Airflow, lake: weather.Lake, kubectl: Kubectl) -> None:
    moment = weather.free_minute(lake)
    with weather.faults(kubectl, "deployment/weather-api", 8081) as admin:
        admin.tell("weather", "status", match=TACOMA, status=429, times=2, headers={"Retry-After": "1"})
        weather.succeeded(api, moment)
        assert admin.taken() == ["weather status"] * 2
    assert_whole(lake.body(weather.path_of(moment)))


def test_a_pod_killed_while_it_asks_is_no_half_file(api: Airflow, lake: weather.Lake, kubectl: Kubectl) -> None:
    moment = weather.free_minute(lake)
    with weather.faults(kubectl, "deployment/weather-api", 8081) as admin:
        admin.tell("weather", "slow", match=TACOMA, seconds=60)
        run = runs.Run("weather", api.trigger("weather", logical_date=moment))
        admin.wait_held(seconds=120)
        (pod,) = step_pods.of_steps(kubectl, dag="weather", run=run.run_id, task="fetch_weather")
        kubectl.text(
            "delete", "pod", pod["metadata"]["name"], "--namespace", STEPS_NAMESPACE, "--grace-period=0", "--force"
        )
        assert not lake.has(weather.path_of(moment))
    assert runs.wait(api, [run], seconds=weather.RUN_SECONDS)[run] == "success", runs.failure(api, run)
    assert_whole(lake.body(weather.path_of(moment)))


@pytest.fixture
def service(kubectl: Kubectl) -> Iterator[None]:
    """`weather.service.enabled`, while a test runs."""
    found, _ = chart.find_airflow_chart(None)
    upgrade: list[Any] = [program("helm"), "upgrade", release.NAME, chart.stage(found), *release.where(kubectl)]
    wait = ["--reuse-values", "--wait", "--timeout", "5m"]
    commands.run([*upgrade, *wait, "--set", "weather.service.enabled=true"], log="helm-upgrade")
    yield
    commands.run([*upgrade, *wait, "--set", "weather.service.enabled=false"], log="helm-upgrade")


@pytest.mark.usefixtures("service")
def test_the_service_gives_the_same_file_to_who_calls_it_by_name(api: Airflow, lake: weather.Lake) -> None:
    moment = weather.free_minute(lake)
    api.unpause("weather_by_service")
    try:
        run = weather.succeeded(api, moment, dag_id="weather_by_service")
    finally:
        api.call("PATCH", "dags/weather_by_service", json={"is_paused": True})
    assert weather.result(api, run, "call_service")["outputs"][0]["url"].endswith(weather.path_of(moment))
    body, etag = lake.body(weather.path_of(moment)), lake.etag(weather.path_of(moment))
    assert_whole(body)
    weather.succeeded(api, moment)
    assert lake.etag(weather.path_of(moment)) == etag
