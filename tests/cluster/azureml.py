"""Azure Machine Learning against the stand-in: two connections as people type them into the form, two subscriptions.

Reads: the stand-in's Secret, and at its admin endpoint what became of the jobs. Writes: the two connections, a run of
each of two example pipelines, switched on, and two runs of a job that takes a while: one is marked as failed in Airflow
while the job runs, the pod of the other is deleted as an eviction does it.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs.azure_ml.names import job_name
from tests.cluster import effects
from tests.cluster.weather import faults
from tidegate.cli import runs
from tidegate.cli.kubectl import NAMESPACE, STEPS_NAMESPACE
from tidegate.step import Run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.cluster.scenes import At
    from tests.jobs.weather import Admin
    from tidegate.cli.airflow_api import Airflow

WORKSPACES = {"AML_TEST_CONNECTION": "00000000-0000-0000-0000-00000000aaaa",
              "AML_2ND_SUB": "00000000-0000-0000-0000-00000000bbbb"}  # fmt: skip
"""Connection -> subscription."""
SECRET_KEY = "AZURE_ML_API_CLIENT_SECRET"


ADMIN = 8081
DAG_ID, TASK = "aml_long", "job"
JOB_SECONDS = 20
"""How long the job runs that is left alone: a new pod is mostly there by then, and finds the end where it is not."""
TEXT = f'''\
"""A job that takes as long as the run says."""

from datetime import timedelta

from airflow.sdk import DAG

from tidegate.airflow.azureml import AzureMachineLearningCreateJobOperator

JOB = {{
    "type": "command",
    "command": "sleep 1",
    "environment": "azureml:none:1",
    "compute": "azureml:none",
    "experiment_name": "tests",
    "tags": {{"fake_states": "Running,Completed", "fake_seconds": "{{{{ dag_run.conf['seconds'] }}}}"}},
}}

with DAG("{DAG_ID}", schedule=None):
    AzureMachineLearningCreateJobOperator(
        task_id="{TASK}",
        conn_id="AML_TEST_CONNECTION",
        job=JOB,
        waiting=True,
        retries=2,
        retry_delay=timedelta(seconds=1),
    )
'''


@dataclass(frozen=True)
class Disturbed:
    """A run whose task was disturbed while it waited for its job, and what the stand-in tells of that afterwards."""

    run: runs.Run
    job: str
    """Name of the run's first job."""
    jobs: dict[str, str]
    """State of every job of the run by its name."""
    submissions: int
    cancellations: int


@dataclass(frozen=True)
class Played:
    """Runs that are over; `secret` is the password of both connections."""

    command: runs.Run
    pipeline: runs.Run
    stopped: Disturbed
    evicted: Disturbed
    secret: str


def play(at: At) -> Played:
    """One run of each, to their ends."""
    keys = at.kubectl.secret("azure-ml-api")
    for conn_id, subscription in WORKSPACES.items():
        typed(at.api, conn_id, subscription, keys)
    stopped, evicted = (at.start(DAG_ID, {"seconds": seconds}) for seconds in (600, JOB_SECONDS))
    command, pipeline = (_start(at.api, dag_id) for dag_id in ("AML_CommandJob", "AML_Pipeline_2Subs"))
    with faults(at.kubectl, "deployment/azure-ml-api", ADMIN) as admin:
        evict(at, admin, evicted)
        mark_failed(at, admin, stopped)
        at.green(evicted, command, pipeline)
        told = disturbed(admin, stopped), disturbed(admin, evicted)
    return Played(command, pipeline, *told, keys[SECRET_KEY])


def evict(at: At, admin: Admin, run: runs.Run) -> None:
    """Delete the pod that waits for the run's job, as an eviction does."""
    _wait_for(at, admin, run, "Running")
    pod = effects.next_running(at.timeline, TASK, {run.run_id})
    at.kubectl.text("delete", "pod", pod.name, "--namespace", STEPS_NAMESPACE, "--wait=false")


def mark_failed(at: At, admin: Admin, run: runs.Run) -> None:
    """Mark the task as failed in Airflow, and wait until Azure has cancelled its job."""
    _wait_for(at, admin, run, "Running")
    at.api.call("PATCH", f"dags/{DAG_ID}/dagRuns/{run.run_id}/taskInstances/{TASK}", json={"new_state": "failed"})
    _wait_for(at, admin, run, "Canceled")


def disturbed(admin: Admin, run: runs.Run) -> Disturbed:
    """What the stand-in was asked for a run, and what became of it."""
    job, asked = _job(run), admin.ask("GET", "asked")["asked"]
    mine = [(one["method"], one["path"]) for one in asked if f"/jobs/{job}" in one["path"]]
    states = {name: state for name, state in _states(admin).items() if name.startswith(job)}
    submissions = [path for method, path in mine if method == "PUT"]
    cancellations = [path for method, path in mine if method == "POST" and path.endswith("/cancel")]
    return Disturbed(run, job, states, len(submissions), len(cancellations))


def _wait_for(at: At, admin: Admin, run: runs.Run, state: str) -> None:
    job = _job(run)
    at.until(lambda: _states(admin).get(job) == state, what=f"job {job} of {run} to be {state}")


def _states(admin: Admin) -> dict[str, str]:
    found: dict[str, Any] = admin.ask("GET", "runs")["runs"]
    return {path.rpartition("/")[2]: str(state) for path, state in found.items()}


def _job(run: runs.Run) -> str:
    return job_name(Run(dag_id=run.dag_id, run_id=run.run_id, task_id=TASK))


def _start(api: Airflow, dag_id: str) -> runs.Run:
    api.unpause(dag_id)
    return runs.Run(dag_id, api.trigger(dag_id, run_id=f"aml__{uuid.uuid4()}"))


def typed(api: Airflow, conn_id: str, subscription: str, keys: Mapping[str, str]) -> None:
    """Make a connection, as the form does: the extra has the short names."""
    extra = {
        "tenantId": "11111111-1111-1111-1111-111111111111",
        "subscriptionId": subscription,
        "resource_group_name": "rg",
        "workspace_name": "ws",
        "resource_manager": f"https://azure-ml-api.{NAMESPACE}.svc:8443",
        "ca": keys["ca.crt"],
    }
    body = {
        "connection_id": conn_id,
        "conn_type": "azure_machine_learning",
        "login": "22222222-2222-2222-2222-222222222222",
        "password": keys[SECRET_KEY],
        "extra": json.dumps(extra),
    }
    api.call("DELETE", f"connections/{conn_id}", missing_ok=True)
    api.call("POST", "connections", json=body)
