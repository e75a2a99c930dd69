"""A small test data set: one training and one testing run of the original's DAGs, as the ledger records them.

Pure and always the same. `tidegate.ledger.ddl` puts it behind the tables' definitions in `k8s/ledger/*.sql`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tidegate.ledger.canonical import canonical
from tidegate.ledger.key import key_of
from tidegate.ledger.model import Outcome, Output, Reason, Request, State, Task
from tidegate.ledger.rows import new_row, outcome_values

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
IMAGE = "tidegate/run_command:0123456789ab"
CONF = {"parameter_1": "test_parameter_1"}
TRAINING = CONF | {"parameter_2": "test_parameter_2"}
TESTING = CONF | {"parameter_3": "test_parameter_3"}
RUNS = (
    ("ml_training_dag", TRAINING, (("common_task_1", CONF), ("common_task_2", CONF), ("training_task_1", TRAINING))),
    ("ml_testing_dag", TESTING, (("testing_task_1", TESTING), ("testing_task_2", TESTING))),
)
"""Pipeline, the run's parameters, and the tasks that ran with those they read."""

SHARED = ("common_task_1", "common_task_2")
"""What the testing run found done."""


def data() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Columns of `ledger_row` and of `ledger_use`."""
    rows: list[dict[str, Any]] = []
    uses: list[dict[str, Any]] = []
    for pipeline, conf, tasks in RUNS:
        for task_id, params in tasks:
            rows.append(_row(len(rows) + 1, pipeline, task_id, params))
            uses.append(_use(len(uses) + 1, pipeline, task_id, conf, row=len(rows), verdict="run"))
    for number, task_id in enumerate(SHARED, start=1):
        uses.append(_use(len(uses) + 1, "ml_testing_dag", task_id, TESTING, row=number, verdict="hit"))
    return rows, uses


def _task(pipeline: str, task_id: str) -> Task:
    return Task(pipeline=pipeline, run_id="manual__2026-01-01T12:00:00+00:00", task_id=task_id)


def _row(number: int, pipeline: str, task_id: str, params: dict[str, str]) -> dict[str, Any]:
    path = f"s3://tidegate/tasks/{task_id}/{'/'.join(params.values())}"
    key = key_of(step="run_command", image=IMAGE, params={"command": task_id, **params}, output=path)
    request = Request(task=_task(pipeline, task_id), key=key, output_path=path)
    started = START + timedelta(minutes=number)
    output = Output(name="output", url=f"{path}/output.txt", size=3, sha256="0" * 64, etag=f"sample-{number}")
    outcome = Outcome(state=State.SUCCEEDED, outputs=(output,), metrics={"score": 0.5}, summary="sample")
    begun = new_row(request, attempt=1, now=started, reason=Reason.NEW, detail="")
    return begun | outcome_values(outcome, now=started + timedelta(seconds=30)) | {"id": number}


def _use(number: int, pipeline: str, task_id: str, conf: dict[str, str], *, row: int, verdict: str) -> dict[str, Any]:
    task = _task(pipeline, task_id)
    values = {"id": number, "row_id": row, "verdict": verdict, "holder": task.holder}
    decided = START + timedelta(minutes=number)
    return {**vars(task), **values, "run_params": canonical(conf), "datetime_decided": decided}
