"""Three jobs of automated machine learning at once: named entities twice, and energy demand.

`text_ner_automl_job` trains one model with fixed settings, `sweep_text_nerjob` looks for a model, and
`forcasting_automl_job` predicts 48 hours of demand. Their small tables lie in `assets/` as MLTable folders.
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
NER = {
    "type": "automl",
    "task": "text_ner",
    "experiment_name": EXPERIMENT,
    "compute": "azureml:tiny-gpu-ssh",
    "primary_metric": "accuracy",
    "training_data": {"type": "mltable", "path": "train"},
    "validation_data": {"type": "mltable", "path": "validation"},
}
FIXED = {
    **NER,
    "display_name": "entities, one model",
    "limits": {"timeout_minutes": 60, "max_nodes": 2},
    "training_parameters": {
        "model_name": "roberta-base",
        "learning_rate_scheduler": "linear",
        "warmup_ratio": 0.1,
    },
}
SEARCHED = {
    **NER,
    "display_name": "entities, searched",
    "limits": {"timeout_minutes": 120, "max_trials": 4, "max_concurrent_trials": 2, "max_nodes": 4},
    "sweep": {
        "sampling_algorithm": "random",
        "early_termination": {
            "type": "bandit",
            "evaluation_interval": 2,
            "slack_factor": 0.05,
            "delay_evaluation": 6,
        },
    },
    "search_space": [
        {
            "model_name": {"type": "choice", "values": ["bert-base-cased", "roberta-base"]},
            "learning_rate": {"type": "uniform", "min_value": 0.00003, "max_value": 0.00009},
        }
    ],
}
DEMAND = {
    "type": "automl",
    "task": "forecasting",
    "experiment_name": EXPERIMENT,
    "display_name": "energy demand",
    "compute": "azureml:simple-cpu-ssh",
    "primary_metric": "normalized_root_mean_squared_error",
    "target_column_name": "demand",
    "training_data": {"type": "mltable", "path": "."},
    "n_cross_validations": 3,
    "forecasting": {
        "time_column_name": "timeStamp",
        "forecast_horizon": 48,
        "frequency": "H",
        "target_lags": [12],
        "target_rolling_window_size": 4,
    },
    "limits": {"timeout_minutes": 60, "trial_timeout_minutes": 20, "max_trials": 10, "max_concurrent_trials": 4},
    "training": {"blocked_training_algorithms": ["extreme_random_trees"]},
}

with DAG(
    "AML_AutoML",
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
    entities, energy = beside(__file__, "assets/ner"), beside(__file__, "assets/energy")
    jobs = [
        AzureMachineLearningCreateJobOperator(task_id="text_ner_automl_job", job=FIXED, files=entities, waiting=True),
        AzureMachineLearningCreateJobOperator(task_id="sweep_text_nerjob", job=SEARCHED, files=entities, waiting=True),
        AzureMachineLearningCreateJobOperator(task_id="forcasting_automl_job", job=DEMAND, files=energy, waiting=True),
    ]
    EmptyOperator(task_id="start") >> jobs >> EmptyOperator(task_id="success")
