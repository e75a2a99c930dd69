"""Tests what a parameter set gave.

Start it with `{"parameter_1": ..., "parameter_3": ...}`. Every task runs a command in the same image, with the run's
parameters that it names, and writes under `tasks/<task>/<their values>`. The common tasks know parameter_1 alone, so
what they do is the same in `ml_training_dag`, to the letter; only the testing tasks see parameter_3.
"""

from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, BaseOperator, Param

from tidegate.airflow import step
from tidegate.airflow.notify import Notify


def parameters_provider(*names: str) -> dict[str, str]:
    """A task's parameters: those of the run that it names, and no others."""
    return {name: f"{{{{ params.{name} }}}}" for name in names}


def task(task_id: str, script: str, *names: str, data: object = None) -> BaseOperator:
    """A command with its parameters; its output path has a folder for each set of them."""
    provided = parameters_provider(*names)
    return step(
        "run_command",
        task_id=task_id,
        params={"command": ["sh", "-ec", script], "parameters": provided},
        inputs={"data": data} if data else None,
        output="/".join(["tasks", task_id, *provided.values()]),
    )


def parameter(default: str, description: str) -> Param:
    """A parameter that may be part of a path."""
    return Param(default, type="string", pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", description=description)


with DAG(
    "ml_testing_dag",
    schedule=None,
    max_active_runs=4,
    doc_md=__doc__,
    params={
        "parameter_1": parameter("test_parameter_1", "What the common tasks work on."),
        "parameter_3": parameter("test_parameter_3", "What only the testing tasks see."),
    },
    default_args={"retries": 1, "retry_delay": timedelta(seconds=30), "on_failure_callback": Notify()},
):
    # It once wrote the parameter set into a table. The ledger does that now; the task stays for those who look for it.
    initializer = EmptyOperator(task_id="initializer")
    common_task_1 = task(
        "common_task_1",
        'printf "%s" "$PARAM_parameter_1" | sha256sum | fold -w 4 > "$OUTPUT_FOLDER/features"',
        "parameter_1",
    )
    common_task_2 = task(
        "common_task_2",
        'sort | uniq -c > "$OUTPUT_FOLDER/frequencies"',
        "parameter_1",
        data=common_task_1.output["features"],
    )
    testing_task_1 = task(
        "testing_task_1",
        '(cat; echo "$PARAM_parameter_3") | sha256sum > "$OUTPUT_FOLDER/predictions"',
        "parameter_1",
        "parameter_3",
        data=common_task_2.output["frequencies"],
    )
    testing_task_2 = task(
        "testing_task_2",
        'cksum | awk \'{ printf "{\\"score\\": %.4f}", $1 / 4294967295 }\' > "$OUTPUT_FOLDER/metrics.json"',
        "parameter_1",
        "parameter_3",
        data=testing_task_1.output["predictions"],
    )
    initializer >> common_task_1 >> common_task_2 >> testing_task_1 >> testing_task_2
