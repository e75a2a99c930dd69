"""The weather of a minute is in the lake, once and as specified; faults leave nothing there, no run leaves the key."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import weather
from tests.jobs.weather import NAMES, TACOMA, assert_whole
from tidegate.cli import release, runs, step_pods
from tidegate.cli.kubectl import NAMESPACE, STEPS_NAMESPACE
from tidegate.cluster import chart, commands
from tidegate.cluster.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.conftest import Installed
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl


@pytest.fixture(scope="module")
def lake(kubectl: Kubectl) -> Iterator[weather.Lake]:
    with weather.lake_of(kubectl) as found:
        yield found


@pytest.fixture(scope="module")
def run(api: Airflow, installed: Installed) -> dict[str, Any]:
    """The run that `up` started."""
    return next(one for one in api.runs("weather", limit=50) if one["dag_run_id"].startswith("up__"))


def test_the_file_of_the_runs_minute_is_as_specified(api: Airflow, lake: weather.Lake, run: dict[str, Any]) -> None:
    minute = datetime.fromisoformat(run["logical_date"] or run["run_after"])
    body = lake.body(weather.path_of(minute))
    assert_whole(body)
    (output,) = weather.result(api, runs.Run("weather", run["dag_run_id"]))["outputs"]
    assert output["url"] == f"{weather.URL}/{minute.astimezone(UTC):%Y/%m/%d/%H/%M}/weather_data.json"
    assert (output["size"], output["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    checked = weather.result(api, runs.Run("weather", run["dag_run_id"]), "check_weather")
    assert checked["metrics"]["cities"] == len(NAMES)


def test_up_tells_the_file_and_every_city(installed: Installed) -> None:
    assert f"{weather.URL}/" in installed.said
    assert [name for name in NAMES if f"{name} [K] " not in installed.said] == []


def test_a_second_run_of_the_same_minute_changes_nothing(api: Airflow, lake: weather.Lake) -> None:
    moment = weather.free_minute(lake)
    first = weather.result(api, weather.succeeded(api, moment))
    before = lake.etag(weather.path_of(moment))
    again = weather.result(api, weather.succeeded(api, moment.replace(second=(moment.second + 1) % 60)))
    assert lake.etag(weather.path_of(moment)) == before
    assert again["outputs"] == first["outputs"]
    assert_whole(lake.body(weather.path_of(moment)))


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
        admin.wait_taken(1, seconds=120)
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


def keys(kubectl: Kubectl) -> dict[str, str]:
    """What no run may leave behind."""
    found = {"the API's key": kubectl.secret("weather-api")["WEATHER_API_KEY"]}
    step = kubectl.secret("step-fetch-weather", namespace=STEPS_NAMESPACE)
    assert step["OPENWEATHERMAP_KEY"] == found["the API's key"]
    return found | {"the lake's key": step["AZURE_STORAGE_KEY"]}


def left_by_runs(api: Airflow) -> Iterator[tuple[str, str]]:
    """Logs, rendered templates, XComs and all else that Airflow keeps of every run of the weather."""
    for dag_id in ("weather", "weather_by_service"):
        for one in api.runs(dag_id, limit=100):
            run_id = one["dag_run_id"]
            yield f"run {run_id}", json.dumps(one)
            for task in api.tasks(dag_id, run_id):
                name, path = task["task_id"], f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task['task_id']}"
                yield f"{run_id} {name} as it is kept", json.dumps(task)
                for attempt in range(1, task["try_number"] + 1):
                    yield f"{run_id} {name} log", "\n".join(api.log(dag_id, run_id, name, attempt=attempt))
                for entry in api.call("GET", f"{path}/xcomEntries").json()["xcom_entries"]:
                    yield f"{run_id} {name} {entry['key']}", api.call("GET", f"{path}/xcomEntries/{entry['key']}").text


def left_in_kubernetes(kubectl: Kubectl) -> Iterator[tuple[str, str]]:
    """Pods, their logs, settings and events; not the Secrets, where the keys belong."""
    for namespace in (NAMESPACE, STEPS_NAMESPACE):
        kinds = "pods,configmaps,deployments,statefulsets,jobs,events,serviceaccounts"
        yield namespace, kubectl.text("get", kinds, "--namespace", namespace, "--output", "json")
        for pod in kubectl.items("pods", namespace=namespace):
            name = pod["metadata"]["name"]
            arguments = ("--namespace", namespace, "--all-containers", "--ignore-errors")
            yield f"log of {name}", kubectl.text("logs", name, *arguments)


def test_the_keys_are_in_nothing_that_the_runs_left_behind(
    api: Airflow, kubectl: Kubectl, lake: weather.Lake, installed: Installed
) -> None:
    secrets, seen = keys(kubectl), 0
    files = ((path.name, lake.body(path.name).decode()) for path in lake.files.get_paths() if not path.is_directory)
    for source in (left_by_runs(api), left_in_kubernetes(kubectl), files, [("what up said", installed.said)]):
        for where, text in source:
            seen += 1
            assert [name for name, key in secrets.items() if key in text] == [], where
    assert seen > 30
