"""The weather of a minute is in the lake, once and as specified, and no run leaves a key anywhere.

Faults of the API and of the lake are `tests/jobs`; on the cluster they are `tests/soak/weather_faults.py`.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import left, weather
from tests.jobs.weather import NAMES, assert_whole
from tidegate.cli import runs
from tidegate.cli.kubectl import NAMESPACE, STEPS_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.acts import Acts
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


def test_a_second_run_of_the_same_minute_changes_nothing(lake: weather.Lake, acts: Acts) -> None:
    played = acts.weather.result()
    assert played.after == played.before
    assert played.again["outputs"] == played.first["outputs"]
    assert_whole(lake.body(weather.path_of(played.moment)))


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
        yield from ((f"log of {name}", printed) for name, printed in left.logs(kubectl, namespace).items())


def test_the_keys_are_in_nothing_that_the_runs_left_behind(
    api: Airflow, kubectl: Kubectl, lake: weather.Lake, installed: Installed, acts: Acts
) -> None:
    acts.over.result()  # no pod comes or goes while it is read
    secrets, seen = keys(kubectl), 0
    files = ((path.name, lake.body(path.name).decode()) for path in lake.files.get_paths() if not path.is_directory)
    for source in (left_by_runs(api), left_in_kubernetes(kubectl), files, [("what up said", installed.said)]):
        for where, text in source:
            seen += 1
            assert [name for name, key in secrets.items() if key in text] == [], where
    assert seen > 30
