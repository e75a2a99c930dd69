"""The same pipeline in two workspaces of two subscriptions at once: work goes to where the data lies.

Each task names a connection of its own, `AML_TEST_CONNECTION` and `AML_2ND_SUB`; nothing else differs.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from tidegate.airflow.azureml import (
    AzureMachineLearningCreateJobOperator,
    beside,
)
from tidegate.airflow.notify import Notify

with DAG(
    "AML_Pipeline_2Subs",
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
    files = beside(__file__, "assets/pipeline")
    for task_id, conn_id in (("pipeline_1st_sub", "AML_TEST_CONNECTION"), ("pipeline_2nd_sub", "AML_2ND_SUB")):
        AzureMachineLearningCreateJobOperator(
            task_id=task_id, conn_id=conn_id, job=files["pipeline.yml"], files=files, waiting=True
        )
