"""Each class of failure is made for real, named, told with what to do, and tried again only where that can help.

All cases run side by side in one DAG. What their pods look like is put into the ConfigMap of steps beside the real
ones, and taken out again; bad input and too little memory for a real table are in `test_5_bad_input`.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.cluster.failures import HOPELESS, KINDS
from tidegate.cli import step_pods
from tidegate.cli.kubectl import STEPS_NAMESPACE

if TYPE_CHECKING:
    from tests.cluster.acts import Acts
    from tidegate.cli import runs
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

AT_ONCE = 10
"""Seconds within which a start that cannot work is given up."""
REASONS = ("Failed", "InspectFailed", "ErrImageNeverPull")
"""Of a kubelet's events about a container that cannot be started."""


@pytest.fixture(scope="module")
def run(acts: Acts) -> runs.Run:
    """One run of all cases, over; two of its pods were taken away while they ran."""
    return acts.failures.result()


@pytest.mark.parametrize("task", KINDS)
def test_the_log_names_the_failure_and_what_to_do(api: Airflow, run: runs.Run, task: str) -> None:
    said = "\n".join(api.log(run.dag_id, run.run_id, task))
    assert f"FAILED {KINDS[task]}: " in said
    assert "What to do: " in said


@pytest.mark.parametrize("task", KINDS)
def test_the_reason_is_a_value_that_the_ui_shows(api: Airflow, run: runs.Run, task: str) -> None:
    assert api.xcom(run.dag_id, run.run_id, task, key="failure")["kind"] == KINDS[task]


@pytest.mark.parametrize("task", HOPELESS)
def test_a_start_that_cannot_work_is_given_up_at_once_and_for_good(
    api: Airflow, kubectl: Kubectl, run: runs.Run, task: str
) -> None:
    """At once is soon after the node has said so: how long a busy node takes to say it is not ours."""
    found = next(one for one in api.tasks(run.dag_id, run.run_id) if one["task_id"] == task)
    assert (found["state"], found["try_number"]) == ("failed", 1)
    said = re.search(r"^(\S+) .*FAILED \w+: ", "\n".join(api.log(run.dag_id, run.run_id, task)), re.MULTILINE)
    assert said
    if KINDS[task] == "not_configured":
        return  # there was no pod
    waited = datetime.fromisoformat(said[1]) - told_by_the_node(kubectl, task)
    assert waited.total_seconds() <= AT_ONCE


def told_by_the_node(kubectl: Kubectl, task: str) -> datetime:
    """When the kubelet first said that the container of a task's pod cannot be started."""
    found = kubectl.items("events", "--field-selector", "type=Warning", namespace=STEPS_NAMESPACE)
    pods = f"{task.replace('_', '-')}-"
    times = [
        one["firstTimestamp"]
        for one in found
        if one["involvedObject"]["name"].startswith(pods) and one["reason"] in REASONS
    ]
    assert times, [(one["involvedObject"]["name"], one["reason"]) for one in found]
    return datetime.fromisoformat(min(times))


def test_more_memory_is_tried_up_to_the_cap(api: Airflow, run: runs.Run) -> None:
    said = "\n".join(api.log(run.dag_id, run.run_id, "hungry"))
    assert "attempt 1 with 32Mi" in said
    assert "limit 32Mi" in said


def test_no_pod_is_left_that_could_still_start(kubectl: Kubectl, run: runs.Run) -> None:
    left = step_pods.of_steps(kubectl, dag=run.dag_id, run=run.run_id)
    assert [pod["metadata"]["name"] for pod in left if pod["status"]["phase"] not in ("Succeeded", "Failed")] == []
