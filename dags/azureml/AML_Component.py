"""Registers a component from its YAML; it has inputs that may be left out."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from tidegate.airflow.azureml import (
    AzureMachineLearningLoadAndRegisterComponentOperator,
    beside,
)
from tidegate.airflow.notify import Notify

with DAG(
    "AML_Component",
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
    AzureMachineLearningLoadAndRegisterComponentOperator(
        task_id="component", source="train.yml", files=beside(__file__, "assets/component")
    )
