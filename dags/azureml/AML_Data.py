"""Uploads a folder as a data asset, whose version is the day of the run."""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from tidegate.airflow.azureml import (
    AzureMachineLearningCreateDataOperator,
    beside,
)
from tidegate.airflow.notify import Notify

POINTS = {
    "name": "points",
    "version": "{{ dag_run.run_after.strftime('%Y%m%d') }}",
    "type": "uri_folder",
    "path": "points",
    "description": "points near a line",
}

with DAG(
    "AML_Data",
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
    files = {f"points/{name}": text for name, text in beside(__file__, "assets/data").items()}
    data = AzureMachineLearningCreateDataOperator(task_id="data", data_asset=POINTS, files=files)
    data >> EmptyOperator(task_id="success")
