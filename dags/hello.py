"""Greets someone.

The smallest pipeline there is: one step in a pod of its own image. Start it with a name to see a step work.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param

from tidegate.airflow import step
from tidegate.airflow.notify import Notify

with DAG(
    "hello",
    schedule=None,
    max_active_runs=4,
    doc_md=__doc__,
    params={"name": Param("world", type="string", minLength=1, maxLength=200, description="Who is greeted.")},
    default_args={"retries": 1, "retry_delay": timedelta(seconds=30), "on_failure_callback": Notify()},
):
    step("hello", params={"name": "{{ params.name }}"})
