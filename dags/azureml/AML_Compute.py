"""Machines that live as long as their job: a cluster for iris, an instance for the diabetes table.

The deletions are teardowns, so they come also when the job between fails.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from tidegate.airflow.azureml import (
    AzureMachineLearningCreateComputeResourceOperator,
    AzureMachineLearningCreateJobOperator,
    AzureMachineLearningDeleteComputeResourceOperator,
    beside,
)
from tidegate.airflow.notify import Notify

EXPERIMENT = "testing-airflow"
ENVIRONMENT = "azureml://registries/azureml/environments/sklearn-1.5/labels/latest"
IRIS = {
    "type": "command",
    "experiment_name": EXPERIMENT,
    "display_name": "iris",
    "compute": "azureml:iris-cluster",
    "environment": ENVIRONMENT,
    "code": ".",
    "command": "python main.py --iris-csv ${{inputs.iris_csv}} --learning-rate ${{inputs.learning_rate}}"
    " --boosting ${{inputs.boosting}}",
    "inputs": {
        "iris_csv": {"type": "uri_file", "path": "https://azuremlexamples.blob.core.windows.net/datasets/iris.csv"},
        "learning_rate": 0.9,
        "boosting": "gbdt",
    },
}
DIABETES = {
    "type": "command",
    "experiment_name": EXPERIMENT,
    "display_name": "diabetes",
    "compute": "azureml:diabetes-instance",
    "environment": ENVIRONMENT,
    "code": ".",
    "command": "python main.py --diabetes-csv ${{inputs.diabetes_csv}}",
    "inputs": {
        "diabetes_csv": {
            "type": "uri_file",
            "path": "https://azuremlexamples.blob.core.windows.net/datasets/diabetes.csv",
        }
    },
}
CLUSTER = {
    "name": "iris-cluster",
    "type": "amlcompute",
    "size": "Standard_D4s_v3",
    "min_instances": 0,
    "max_instances": 1,
    "idle_time_before_scale_down": 120,
}
INSTANCE = {"name": "diabetes-instance", "type": "computeinstance", "size": "Standard_D2s_v3"}

with DAG(
    "AML_Compute",
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
    for compute, job, folder in ((CLUSTER, IRIS, "iris"), (INSTANCE, DIABETES, "diabetes")):
        create = AzureMachineLearningCreateComputeResourceOperator(task_id=f"create_for_{folder}", compute=compute)
        run = AzureMachineLearningCreateJobOperator(
            task_id=folder, job=job, files=beside(__file__, f"assets/{folder}"), waiting=True
        )
        delete = AzureMachineLearningDeleteComputeResourceOperator(
            task_id=f"delete_for_{folder}", compute_name=compute["name"], missing_ok=True
        )
        create >> run >> delete.as_teardown(setups=create)
