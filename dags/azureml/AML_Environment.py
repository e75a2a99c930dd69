"""Registers an environment: a base image and a list of packages, version 1.1."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from tidegate.airflow.azureml import (
    AzureMachineLearningCreateEnvironmentOperator,
    beside,
)
from tidegate.airflow.notify import Notify

ENVIRONMENT = {
    "name": "testing-environment",
    "version": "1.1",
    "image": "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04",
    "conda_file": "conda.yml",
    "description": "LightGBM and scikit-learn",
}

with DAG(
    "AML_Environment",
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
    AzureMachineLearningCreateEnvironmentOperator(
        task_id="environment", environment=ENVIRONMENT, files=beside(__file__, "assets/environment")
    )
