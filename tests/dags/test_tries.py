"""Tries of a step: attached to, taken over, ended, killed, tidied away; against a Kubernetes API that answers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException

from tests.dags.kubernetes_api import KubernetesApi, ended, running
from tests.dags.test_endings import RESULT
from tests.dags.tries import Task, identity, make
from tidegate.airflow.pods import COLLECTED


def test_the_same_try_attaches_to_its_pod(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [running()]
    Task(make()).defer()
    first = api.made()
    Task(make()).defer()
    assert [pod["metadata"]["name"] for pod in api.made()] == [first[0]["metadata"]["name"]]
    assert not any(method == "DELETE" for method, _ in api.requests)


def test_a_new_try_first_ends_the_old_one(api: KubernetesApi) -> None:
    api.scripts["train_model"], api.slow_to_go = [running()], 2
    Task(make()).defer()
    old = api.made()[0]["metadata"]["name"]
    Task(make(), try_number=2, ti_id="0190-2").defer()
    assert [pod["metadata"]["labels"]["tidegate.dev/try"] for pod in api.made()] == ["2"]
    gone = [i for i, (method, path) in enumerate(api.requests) if method == "GET" and path.endswith(old)][-1]
    created = [i for i, (method, _) in enumerate(api.requests) if method == "POST"][-1]
    assert gone < created


@pytest.mark.parametrize("status", [running(), ended(0, json.dumps(RESULT))], ids=["running", "succeeded"])
def test_a_try_takes_over_the_pod_of_a_try_that_was_lost(api: KubernetesApi, status: dict[str, Any]) -> None:
    """A worker or the scheduler died, or Airflow took a deferral for a failure: the work is not lost."""
    api.scripts["train_model"] = [status, ended(0, json.dumps(RESULT))]
    Task(make()).defer()
    api.made()[0]["status"] = status
    xcoms = Task(make(), try_number=2).run()
    assert xcoms["return_value"] == RESULT
    assert len(api.pods) == 1
    assert sum(method == "POST" for method, _ in api.requests) == 1


@pytest.mark.parametrize(
    ("params", "ti_id", "status", "read"),
    [
        ({"target": "other"}, "0190-1", ended(0), False),
        ({}, "of another run", ended(0), False),
        ({}, "0190-1", ended(1), False),
        ({}, "0190-1", ended(0), True),
    ],
    ids=["other work", "another run", "failed", "read"],
)
def test_no_other_pod_is_taken_over(
    api: KubernetesApi, params: dict[str, str], ti_id: str, status: dict[str, Any], *, read: bool
) -> None:
    lost = Task(make(params=params), ti_id=ti_id)
    lost.run() if read else lost.defer()
    api.made()[0]["status"] = status
    Task(make(), try_number=2).defer()
    assert len(api.pods) == 2


def test_a_finished_pod_of_an_earlier_try_stays_to_be_read(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [running(), ended(1, "boom")]
    with pytest.raises(AirflowException, match="boom"):
        Task(make()).run()
    Task(make(), try_number=2, ti_id="0190-2").defer()
    assert [pod["metadata"]["labels"]["tidegate.dev/try"] for pod in api.made()] == ["1", "2"]


def test_a_pod_of_a_deleted_run_of_the_same_name_is_not_taken_for_ours(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [ended(0, json.dumps({"summary": "old"}))]
    Task(make(), ti_id="of a run that was deleted").run()
    api.scripts["train_model"] = [ended(0, json.dumps({"summary": "new"}))]
    assert Task(make()).run()["return_value"] == {"summary": "new"}
    assert len(api.pods) == 1


def test_another_run_is_left_alone(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [running()]
    Task(make(), run_id="manual__1").defer()
    Task(make(), run_id="manual__2").defer()
    assert len(api.pods) == 2


def test_the_newest_finished_pods_are_kept_and_older_ones_tidied(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [ended(0)]
    for number in range(5):
        Task(make(), run_id=f"manual__{number}").run()
    kept = [pod["metadata"]["annotations"]["tidegate.dev/run-id"] for pod in api.made()]
    assert kept == ["manual__2", "manual__3", "manual__4"]


def test_a_finished_pod_that_nobody_read_yet_is_not_tidied_away(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [ended(0)]
    waiting_for_its_reader = Task(make(), run_id="slow").step.build(api.config_maps["tidegate-steps"], identity("slow"))
    api.add(waiting_for_its_reader, ended(0))
    for number in range(5):
        Task(make(), run_id=f"manual__{number}").run()
    assert waiting_for_its_reader["metadata"]["name"] in api.pods
    assert COLLECTED not in api.pods[waiting_for_its_reader["metadata"]["name"]]["metadata"]["labels"]


def test_a_finished_pod_that_nobody_came_for_in_a_day_is_tidied_away(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [ended(0)]
    lost, status = Task(make(), run_id="lost").step.build(api.config_maps["tidegate-steps"], identity("lost")), ended(1)
    status["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = "2026-01-01T00:00:00Z"
    api.add(lost, status)
    for number in range(3):
        Task(make(), run_id=f"manual__{number}").run()
    assert lost["metadata"]["name"] not in api.pods


def test_a_kill_on_the_worker_deletes_the_pod(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [running()]
    task = Task(make())
    task.defer()
    task.step.on_kill()
    assert api.pods == {}


def test_a_kill_after_the_end_leaves_the_pod_to_be_read(api: KubernetesApi) -> None:
    task = Task(make())
    task.defer()
    task.step.on_kill()
    assert len(api.pods) == 1


def test_a_kill_in_the_triggerer_deletes_the_pod(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [running()]
    asyncio.run(Task(make()).defer().trigger.on_kill())
    assert api.pods == {}
