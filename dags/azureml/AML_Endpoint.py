"""Two models behind endpoints: one that answers at once, one that works through folders.

Both are asked once they serve, and deleted whatever happens in between.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from tidegate.airflow.azureml import (
    AzureMachineLearningCreateComputeResourceOperator,
    AzureMachineLearningCreateEndpointOperator,
    AzureMachineLearningDeleteComputeResourceOperator,
    AzureMachineLearningDeleteEndpointOperator,
    AzureMachineLearningDeployEndpointOperator,
    AzureMachineLearningInvokeEndpointOperator,
    AzureMachineLearningRegisterModelOperator,
    beside,
)
from tidegate.airflow.notify import Notify

IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04"
LINE = {"name": "line", "version": "1", "type": "custom_model", "path": "model"}
HEART = {"name": "heart", "version": "1", "type": "mlflow_model", "path": "model"}
ONLINE = {"name": "line-endpoint", "auth_mode": "key"}
BATCH = {"name": "heart-endpoint", "description": "who is at risk"}
BLUE = {
    "name": "blue",
    "endpoint_name": ONLINE["name"],
    "model": "azureml:line:1",
    "code_configuration": {"code": "code", "scoring_script": "score.py"},
    "environment": {"image": IMAGE, "conda_file": "conda.yml"},
    "instance_type": "Standard_DS3_v2",
    "instance_count": 1,
}
CLUSTER = {
    "name": "heart-cluster",
    "type": "amlcompute",
    "size": "Standard_DS3_v2",
    "min_instances": 0,
    "max_instances": 2,
}
NIGHTLY = {
    "name": "nightly",
    "endpoint_name": BATCH["name"],
    "model": "azureml:heart:1",
    "code_configuration": {"code": "code", "scoring_script": "batch_driver.py"},
    "environment": {"image": IMAGE, "conda_file": "conda.yml"},
    "compute": f"azureml:{CLUSTER['name']}",
    "resources": {"instance_count": 2},
    "mini_batch_size": 2,
    "max_concurrency_per_instance": 2,
    "output_action": "summary_only",
    "retry_settings": {"max_retries": 3, "timeout": 300},
}
ROWS = {"type": "uri_folder", "path": "azureml://datastores/workspaceblobstore/paths/heart/"}

with DAG(
    "AML_Endpoint",
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
    packages = beside(__file__, "assets/environment")
    line, heart = beside(__file__, "assets/regression"), beside(__file__, "assets/heart")

    model = AzureMachineLearningRegisterModelOperator(task_id="register_line", model=LINE, files=line)
    make = AzureMachineLearningCreateEndpointOperator(
        task_id="create_online", endpoint=ONLINE, endpoint_type="online", waiting=True
    )
    blue = AzureMachineLearningDeployEndpointOperator(
        task_id="deploy_online",
        deployment=BLUE,
        endpoint_type="online",
        files={**line, **packages},
        waiting=True,
        traffic={"blue": 100},
    )
    ask = AzureMachineLearningInvokeEndpointOperator(
        task_id="ask_online", endpoint_name=ONLINE["name"], endpoint_type="online", request={"data": [0, 1]}
    )
    drop = AzureMachineLearningDeleteEndpointOperator(
        task_id="delete_online", endpoint_name=ONLINE["name"], endpoint_type="online", missing_ok=True, waiting=True
    )
    [model, make] >> blue >> ask >> drop.as_teardown(setups=make)

    rules = AzureMachineLearningRegisterModelOperator(task_id="register_heart", model=HEART, files=heart)
    folders = AzureMachineLearningCreateEndpointOperator(
        task_id="create_batch", endpoint=BATCH, endpoint_type="batch", waiting=True
    )
    cluster = AzureMachineLearningCreateComputeResourceOperator(task_id="create_cluster", compute=CLUSTER)
    nightly = AzureMachineLearningDeployEndpointOperator(
        task_id="deploy_batch",
        deployment=NIGHTLY,
        endpoint_type="batch",
        files={**heart, **packages},
        waiting=True,
        default=True,
    )
    work = AzureMachineLearningInvokeEndpointOperator(
        task_id="ask_batch", endpoint_name=BATCH["name"], endpoint_type="batch", request_input={"rows": ROWS}
    )
    drop_batch = AzureMachineLearningDeleteEndpointOperator(
        task_id="delete_batch", endpoint_name=BATCH["name"], endpoint_type="batch", missing_ok=True, waiting=True
    )
    drop_cluster = AzureMachineLearningDeleteComputeResourceOperator(
        task_id="delete_cluster", compute_name=CLUSTER["name"], missing_ok=True
    )
    [rules, folders, cluster] >> nightly >> work
    work >> drop_batch.as_teardown(setups=folders)
    work >> drop_cluster.as_teardown(setups=cluster)
