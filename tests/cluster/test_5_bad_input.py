"""Bad input ends a task at once, with words that say what to change; nothing is published and nothing is tried again.

All cases run side by side in one DAG, with two retries that none of them may take. What each message says in full is
tested without a cluster in tests/jobs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.bad_input import CASES, DAG_ID, FOLDER, HUGE_TASK
from tidegate.cli import runs, step_pods
from tidegate.cli.objects import BUCKET

if TYPE_CHECKING:
    from tests.cluster import petrol
    from tests.cluster.acts import Acts
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl


@pytest.fixture(scope="module")
def run(acts: Acts) -> runs.Run:
    """One run of all cases, over."""
    return acts.bad_input.result()


def task(api: Airflow, run: runs.Run, name: str) -> dict[str, Any]:
    return next(one for one in api.tasks(run.dag_id, run.run_id) if one["task_id"] == name)


@pytest.mark.parametrize("case", [*CASES, HUGE_TASK])
def test_it_fails_at_once_and_is_not_tried_again(api: Airflow, run: runs.Run, case: str) -> None:
    found = task(api, run, case)
    assert (found["state"], found["try_number"]) == ("failed", 1)


@pytest.mark.parametrize("case", CASES)
def test_its_log_says_what_to_change(api: Airflow, run: runs.Run, case: str) -> None:
    said = "\n".join(api.log(run.dag_id, run.run_id, case))
    assert CASES[case][2] in said
    assert "AirflowFailException" in said


@pytest.mark.parametrize("case", CASES)
def test_its_pod_ended_with_code_2(kubectl: Kubectl, run: runs.Run, case: str) -> None:
    pods = step_pods.of_steps(kubectl, dag=DAG_ID, run=run.run_id, task=case)
    ended = [pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] for pod in pods]
    assert ended == [2]


def test_too_little_memory_is_named_and_so_is_the_remedy(api: Airflow, run: runs.Run) -> None:
    said = "\n".join(api.log(run.dag_id, run.run_id, HUGE_TASK))
    assert "out of memory" in said
    assert "steps.train_model.resources.limits.memory" in said
    assert "512Mi" in said


def test_nothing_was_published(store: petrol.S3, run: runs.Run) -> None:
    assert store.list_objects_v2(Bucket=BUCKET, Prefix=f"{FOLDER}/out/").get("KeyCount") == 0
