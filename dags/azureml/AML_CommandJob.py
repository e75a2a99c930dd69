"""Two command jobs, one after the other: LightGBM on the iris flowers, then a regression on the diabetes table.

The first is waited for; the second is done for Airflow once Azure has it. Their programs lie in `assets/`, beside this
file, and travel with the job. Clusters of the name `simple-cpu-ssh` are the workspace's own.
"""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from tidegate.airflow.azureml import (
    AzureMachineLearningCreateJobOperator,
    beside,
)
from tidegate.airflow.notify import Notify

EXPERIMENT = "testing-airflow"
ENVIRONMENT = "azureml://registries/azureml/environments/sklearn-1.5/labels/latest"
IRIS = {
    "type": "command",
    "experiment_name": EXPERIMENT,
    "display_name": "iris",
    "compute": "azureml:simple-cpu-ssh",
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
    "compute": "azureml:simple-cpu-ssh",
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

with DAG(
    "AML_CommandJob",
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
    iris = AzureMachineLearningCreateJobOperator(
        task_id="iris", job=IRIS, files=beside(__file__, "assets/iris"), waiting=True
    )
    diabetes = AzureMachineLearningCreateJobOperator(
        task_id="diabetes", job=DIABETES, files=beside(__file__, "assets/diabetes")
    )
    iris >> diabetes >> EmptyOperator(task_id="success")
