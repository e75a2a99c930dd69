"""A pipeline with two parallel nodes: one takes files one by one, the other rows a hundred at a time.

It is described in `assets/parallel/pipeline.yml`; the texts come from the workspace's own store.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from tidegate.airflow.azureml import (
    AzureMachineLearningCreateJobOperator,
    beside,
)
from tidegate.airflow.notify import Notify

with DAG(
    "AML_ParallelJob",
    schedule="0 17 * * *",
    start_date=datetime(2021, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    tags=["AML"],
    doc_md=__doc__,
    default_args={
        "conn_id": "AML_TEST_CONNECTION",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "on_failure_callback": Notify(),
    },
):
    files = beside(__file__, "assets/parallel")
    AzureMachineLearningCreateJobOperator(task_id="parallel", job=files["pipeline.yml"], files=files)
