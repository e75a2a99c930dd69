"""From a table to a model that answers, in one chain; and one job for each pair of two packages' versions.

Each task of the matrix submits its job with other versions of azure-ai-ml and azure-storage-blob than the step's image
has: its pod makes a virtual environment with those, over the image's own packages, and works in it. The chain has the
versions of the image. The index that packages come from is pip's, `PIP_INDEX_URL` of the step `azure_ml`.
"""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from tidegate.airflow.azureml import (
    AzureMachineLearningCreateComputeResourceOperator,
    AzureMachineLearningCreateDataOperator,
    AzureMachineLearningCreateEndpointOperator,
    AzureMachineLearningCreateEnvironmentOperator,
    AzureMachineLearningCreateJobOperator,
    AzureMachineLearningDeleteComputeResourceOperator,
    AzureMachineLearningDeleteEndpointOperator,
    AzureMachineLearningDeployEndpointOperator,
    AzureMachineLearningRegisterModelOperator,
    beside,
)
from tidegate.airflow.notify import Notify

EXPERIMENT = "testing-airflow"
ENVIRONMENT = "azureml:venv-environment:1"
IRIS = {
    "type": "command",
    "experiment_name": EXPERIMENT,
    "display_name": "iris",
    "compute": "azureml:venv-cluster",
    "environment": ENVIRONMENT,
    "code": ".",
    "command": "python main.py --iris-csv ${{inputs.iris_csv}} --learning-rate ${{inputs.learning_rate}}"
    " --boosting ${{inputs.boosting}}",
    "inputs": {
        "iris_csv": {"type": "uri_folder", "path": "azureml:venv-points:1"},
        "learning_rate": 0.9,
        "boosting": "gbdt",
    },
}
SWEEP = {
    "type": "sweep",
    "experiment_name": EXPERIMENT,
    "display_name": "iris, swept",
    "compute": "azureml:venv-cluster",
    "trial": {name: IRIS[name] for name in ("code", "command", "environment")},
    "inputs": {"iris_csv": IRIS["inputs"]["iris_csv"]},
    "sampling_algorithm": "random",
    "search_space": {
        "learning_rate": {"type": "uniform", "min_value": 0.01, "max_value": 0.9},
        "boosting": {"type": "choice", "values": ["gbdt", "dart"]},
    },
    "objective": {"goal": "minimize", "primary_metric": "test-multi_logloss"},
    "limits": {"max_total_trials": 20, "max_concurrent_trials": 10, "timeout": 7200},
}
SWEEP["trial"]["command"] = (
    IRIS["command"]
    .replace("inputs.learning_rate", "search_space.learning_rate")
    .replace("inputs.boosting", "search_space.boosting")
)
CLUSTER = {
    "name": "venv-cluster",
    "type": "amlcompute",
    "size": "Standard_D4s_v3",
    "min_instances": 0,
    "max_instances": 2,
}
POINTS = {"name": "venv-points", "version": "1", "type": "uri_folder", "path": "."}
PACKAGES = {"name": "venv-environment", "version": "1", "build": {"path": ".", "dockerfile_path": "Dockerfile"}}
DOCKERFILE = """FROM mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04
RUN pip install azureml-mlflow lightgbm pandas scikit-learn
"""
ENDPOINT = {"name": "venv-endpoint", "auth_mode": "key"}
BEST_RUN = "{{ ti.xcom_pull(task_ids='tune', map_indexes=-1)['best_child_run_id'] }}"
VERSION = "{{ ti.xcom_pull(task_ids='register_best', map_indexes=-1)['version'] }}"
BEST_PATH = f"azureml://jobs/{BEST_RUN}/outputs/artifacts/paths/outputs/model.txt"
BEST = {"name": "venv-model", "type": "custom_model", "path": BEST_PATH}
BLUE = {
    "name": "blue",
    "endpoint_name": ENDPOINT["name"],
    "model": f"azureml:venv-model:{VERSION}",
    "code_configuration": {"code": "code", "scoring_script": "score.py"},
    "environment": ENVIRONMENT,
    "instance_type": "Standard_DS3_v2",
    "instance_count": 1,
}
DIABETES = {
    "type": "command",
    "experiment_name": EXPERIMENT,
    "compute": "azureml:simple-cpu-ssh",
    "environment": "azureml://registries/azureml/environments/sklearn-1.5/labels/latest",
    "code": ".",
    "command": "python main.py --diabetes-csv ${{inputs.diabetes_csv}}",
    "inputs": {
        "diabetes_csv": {
            "type": "uri_file",
            "path": "https://azuremlexamples.blob.core.windows.net/datasets/diabetes.csv",
        }
    },
}
SDKS, STORAGES = ("1.34.1", "1.35.1"), ("12.30.0", "12.31.0")
"""Versions of azure-ai-ml and of azure-storage-blob."""


with DAG(
    "AML_PythonVirtualenv",
    schedule="0 18 * * *",
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
    data = AzureMachineLearningCreateDataOperator(
        task_id="data", data_asset=POINTS, files=beside(__file__, "assets/data")
    )
    environment = AzureMachineLearningCreateEnvironmentOperator(
        task_id="environment", environment=PACKAGES, files={"Dockerfile": DOCKERFILE}
    )
    cluster = AzureMachineLearningCreateComputeResourceOperator(task_id="create_cluster", compute=CLUSTER)
    train = AzureMachineLearningCreateJobOperator(
        task_id="train", job=IRIS, files=beside(__file__, "assets/iris"), waiting=True, timeout=timedelta(hours=3)
    )
    tune = AzureMachineLearningCreateJobOperator(
        task_id="tune", job=SWEEP, files=beside(__file__, "assets/iris"), waiting=True, timeout=timedelta(hours=3)
    )
    drop_cluster = AzureMachineLearningDeleteComputeResourceOperator(
        task_id="delete_cluster", compute_name=CLUSTER["name"], missing_ok=True
    )
    [data, environment, cluster] >> train >> tune >> drop_cluster.as_teardown(setups=cluster)

    endpoint = AzureMachineLearningCreateEndpointOperator(
        task_id="create_endpoint", endpoint=ENDPOINT, endpoint_type="online", waiting=True
    )
    model = AzureMachineLearningRegisterModelOperator(task_id="register_best", model=BEST)
    blue = AzureMachineLearningDeployEndpointOperator(
        task_id="deploy",
        deployment=BLUE,
        endpoint_type="online",
        files=beside(__file__, "assets/regression"),
        waiting=True,
        traffic={"blue": 100},
    )
    drop = AzureMachineLearningDeleteEndpointOperator(
        task_id="delete_endpoint", endpoint_name=ENDPOINT["name"], endpoint_type="online", missing_ok=True
    )
    tune >> [endpoint, model] >> blue >> drop.as_teardown(setups=endpoint)

    start, success = EmptyOperator(task_id="start"), EmptyOperator(task_id="success")
    start >> [data, environment, cluster]
    [tune, blue] >> success
    for sdk in SDKS:
        for storage in STORAGES:
            diabetes = AzureMachineLearningCreateJobOperator(
                task_id=f"AML-{sdk}_Blob-{storage}___diabetes_scikit-learn",
                job={**DIABETES, "display_name": f"diabetes, by azure-ai-ml {sdk} and azure-storage-blob {storage}"},
                requirements=[f"azure-ai-ml=={sdk}", f"azure-storage-blob=={storage}"],
                files=beside(__file__, "assets/diabetes"),
                waiting=True,
                timeout=timedelta(minutes=15),
            )
            start >> diabetes >> success
