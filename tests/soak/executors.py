"""The executors that a values file chooses: the release is upgraded to each, runs tasks of every path, and goes back.

`make soak CELLS=executors`, or `pytest tests/soak/executors.py`. It is no rung of `make test`: each change restarts all
of Airflow. Writes: revisions of the release, a DAG and its runs; Celery's broker keeps its volume. Again: the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.stage import staged
from tests.soak.changed import changed
from tidegate.cli import runs
from tidegate.cluster import chart, images, kind, standins

if TYPE_CHECKING:
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

DAG = "soak_executors"
TEXT = f"""\
from airflow.sdk import DAG, task

from tidegate.airflow import step


@task
def host():
    import socket

    return socket.gethostname()


with DAG("{DAG}", schedule=None):
    host() >> step("hello", task_id="workerless", params={{"name": "no worker"}})
    step("hello", task_id="on_worker", worker=True, params={{"name": "a worker"}})
"""
EXECUTORS = {"celery": "airflow-worker-", "kubernetes": f"{DAG.replace('_', '-')}-host-"}
"""Values file -> how the pods are called in which tasks run that are no steps."""
ENDS_WITHIN = 900


@pytest.mark.parametrize("executor", EXECUTORS)
def test_tasks_run_where_the_executor_says_and_steps_as_ever(kubectl: Kubectl, api: Airflow, executor: str) -> None:
    standins.ensure("redis")
    images.load(["redis:7.2-bookworm"], cluster=kind.NAME)
    with changed(kubectl, chart.CHART / f"values-{executor}.yaml"), staged(kubectl, api, {DAG: TEXT}):
        run = runs.Run(DAG, api.trigger(DAG, conf={"force": True}))
        assert runs.wait(api, [run], seconds=ENDS_WITHIN) == {run: "success"}
        assert api.xcom(run.dag_id, run.run_id, "host").startswith(EXECUTORS[executor])
        states = {task["task_id"]: task["state"] for task in api.tasks(run.dag_id, run.run_id)}
        assert states == {"host": "success", "workerless": "success", "on_worker": "success"}
        for task, said in {"workerless": "finished by the triggerer", "on_worker": "finished by a worker"}.items():
            assert said in "\n".join(api.log(run.dag_id, run.run_id, task))
