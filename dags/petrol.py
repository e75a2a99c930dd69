"""Trains a random forest on petrol consumption, every hour, and publishes it.

`train_model` learns from the CSV and says how good it is on rows that it has not seen. `upload_model` publishes the
model under `models/petrol/YYYY/MM/DD/HH/`, the hour of the run in UTC, once it has been loaded back and scored; what is
newest is in `models/petrol/latest.json`. The same hour again changes nothing unless the model is another.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param

from tidegate.airflow import step
from tidegate.airflow.notify import Notify

with DAG(
    "petrol",
    schedule="@hourly",
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    params={
        "data": Param(
            "data/petrol_consumption.csv",
            type="string",
            minLength=1,
            description="The CSV to learn from: a URL, or a path in the store. All cells are numbers.",
        ),
        "target": Param("Petrol_Consumption", type="string", minLength=1, description="The column to predict."),
        "n_estimators": Param(200, type="integer", minimum=1, maximum=10_000, description="Trees in the forest."),
        "test_size": Param(
            0.2,
            type="number",
            exclusiveMinimum=0,
            exclusiveMaximum=1,
            description="Share of the rows that is kept back to score with.",
        ),
        "random_state": Param(
            0, type="integer", minimum=0, maximum=2**32 - 1, description="Seed: the same seed gives the same model."
        ),
    },
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30), "on_failure_callback": Notify()},
):
    train = step(
        "train_model",
        params={name: f"{{{{ params.{name} }}}}" for name in ("target", "n_estimators", "test_size", "random_state")},
        inputs={"data": "{{ params.data }}"},
    )
    step(
        "upload_model",
        inputs={name: train.output[name] for name in ("model", "card", "holdout")},
        output="models/petrol",
    )
