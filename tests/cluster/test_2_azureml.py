"""Azure Machine Learning against the stand-in, from Airflow's form to the pod.

What Azure does, or refuses, is `tests/jobs/azure_ml`; `azureml.py` tells what was played.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import azureml, effects
from tests.cluster.azureml import WORKSPACES, Played
from tidegate.cli.kubectl import NAMESPACE, STEPS_NAMESPACE

if TYPE_CHECKING:
    from tests.cluster.acts import Acts
    from tests.cluster.scenes import At
    from tidegate.cli import runs
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl


@pytest.fixture(scope="module")
def played(acts: Acts) -> Played:
    return acts.azureml.result()


def result(api: Airflow, run: runs.Run, task_id: str) -> dict[str, Any]:
    found = api.xcom(run.dag_id, run.run_id, task_id)
    assert isinstance(found, dict)
    return found


def test_a_command_job_is_green(api: Airflow, played: Played) -> None:
    run = played.command
    found = result(api, run, "iris")
    assert (found["status"], found["submitted"]) == ("Completed", True)
    assert api.xcom(run.dag_id, run.run_id, "iris", key="job_id") == found["name"]
    links = api.call("GET", f"dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/iris/links").json()
    assert links["extra_links"] == {"Azure Machine Learning Studio": found["studio_url"]}


def test_one_dag_works_in_two_subscriptions(api: Airflow, played: Played) -> None:
    ids = [result(api, played.pipeline, f"pipeline_{which}_sub")["id"] for which in ("1st", "2nd")]
    assert [one.split("/")[2] for one in ids] == list(WORKSPACES.values())


def test_a_task_that_is_stopped_in_airflow_cancels_its_job_in_azure(api: Airflow, played: Played) -> None:
    stopped = played.stopped
    assert (stopped.jobs, stopped.submissions) == ({stopped.job: "Canceled"}, 1)
    assert stopped.cancellations == 1
    (task,) = api.tasks(stopped.run.dag_id, stopped.run.run_id)
    assert task["state"] == "failed"


def test_an_evicted_pod_leaves_its_job_and_the_next_one_finds_it(at: At, api: Airflow, played: Played) -> None:
    evicted = played.evicted
    lives = effects.of(at.timeline.lives(), azureml.TASK, {evicted.run.run_id})
    assert [one.succeeded for one in lives] == [False, True]
    assert (evicted.jobs, evicted.submissions) == ({evicted.job: "Completed"}, 1)
    assert evicted.cancellations == 0
    found = result(api, evicted.run, azureml.TASK)
    assert (found["name"], found["submitted"], found["attempt"]) == (evicted.job, False, 1)


def test_no_secret_is_left_in_the_cluster_or_in_airflow(api: Airflow, kubectl: Kubectl, played: Played) -> None:
    encoded = base64.b64encode(played.secret.encode()).decode()
    for kind in ("secrets", "pods", "events"):
        text = kubectl.text("get", kind, "--namespace", STEPS_NAMESPACE, "--output", "json")
        assert [word for word in (played.secret, encoded) if word in text] == [], kind
    for run in (played.command, played.pipeline, played.evicted.run):
        for task in api.tasks(run.dag_id, run.run_id):
            if task["operator"] != "EmptyOperator":
                assert played.secret not in "\n".join(api.log(run.dag_id, run.run_id, task["task_id"]))
    asked = kubectl.text("logs", "deployment/azure-ml-api", "--namespace", NAMESPACE, "--container", "azure-ml-api")
    assert played.secret not in asked
