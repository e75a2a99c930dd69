"""One training of iris, then twenty with other settings, of which the best is kept.

Learning rate and boosting are drawn at random; the loss on rows that were kept back decides. Ten trials run at once,
two hours at most.
"""

from datetime import UTC, datetime, timedelta

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
SWEEP = {
    "type": "sweep",
    "experiment_name": EXPERIMENT,
    "display_name": "iris, swept",
    "compute": "azureml:simple-cpu-ssh",
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

with DAG(
    "AML_SweepJob",
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
    train = AzureMachineLearningCreateJobOperator(
        task_id="iris_training", job=IRIS, files=beside(__file__, "assets/iris"), waiting=True
    )
    tune = AzureMachineLearningCreateJobOperator(
        task_id="tuning_random_multi_logloss", job=SWEEP, files=beside(__file__, "assets/iris"), waiting=True
    )
    train >> tune
