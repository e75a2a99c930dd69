"""Tasks of every shape in one file: mapped, grouped, ended on a worker, retried, cleared and marked by a person.

Each is a pitfall of tasks that run in the triggerer, which only a real scheduler and a real triggerer show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.cluster import effects

if TYPE_CHECKING:
    from tests.cluster.scenes import At
    from tests.cluster.timeline import Life
    from tidegate.cli.runs import Run

MAPS, WORKER_ENDS, CONSUMER, FAILING, LONG = "maps", "worker_ends", "consumer", "failing", "long"
DAG_IDS = (MAPS, WORKER_ENDS, CONSUMER, FAILING, LONG)
WORK = "work"
CALLED, TOLD = "tests_called", "tests_told"
"""Variables of Airflow that callbacks write."""
FOLDER = "tests/shapes"
ENDED_WITHIN = 90

TEXT = f'''\
"""Tasks of every shape."""

from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, task, task_group

from tidegate.airflow import step

SOON = {{"retries": 1, "retry_delay": timedelta(seconds=1)}}
KEEP = 'cat > "$OUTPUT_FOLDER/kept"'
KEEP_ALL = 'printf "%s" "$PARAM_all" > "$OUTPUT_FOLDER/kept"'


def command(script, **parameters):
    return {{"command": ["sh", "-ec", script], "parameters": parameters}}


with DAG("{MAPS}", schedule=None):

    @task
    def names():
        return [{{"name": "one"}}, {{"name": "two"}}]

    over = step.partial("hello", task_id="over").expand(params=names())
    step.partial("hello", task_id="rows").expand_kwargs(
        [{{"params": {{"name": "three"}}}}, {{"params": {{"name": "four"}}, "output": "{FOLDER}/{{{{ run_id }}}}"}}]
    )
    step("run_command", task_id="gathered", params=command(KEEP_ALL, all=over.output))

    @task_group
    def each(x):
        first = step("hello", task_id="first", params={{"name": x}})
        step("run_command", task_id="second", params=command(KEEP), inputs={{"data": first.output["greeting"]}})

    each.expand(x=["five", "six"])


def called(context):
    from airflow.sdk import Variable

    Variable.set("{CALLED}", context["run_id"])


with DAG("{WORKER_ENDS}", schedule=None):
    step("hello", task_id="with_outlet", outlets=[Asset("s3://tests/shapes")])
    step("hello", task_id="with_callback", on_success_callback=called)
    step("hello", task_id="on_worker", worker=True, params={{"seconds": "{{{{ 1 - 1 }}}}"}}, **SOON)

with DAG("{CONSUMER}", schedule=[Asset("s3://tests/shapes")]):
    EmptyOperator(task_id="consume")


def told(context):
    from airflow.sdk import Variable
    from tidegate.airflow.notify import describe

    Variable.set("{TOLD}", describe(context))


with DAG("{FAILING}", schedule=None):
    second = command('test "$PARAM_attempt" = 2; echo x > "$OUTPUT_FOLDER/kept"', attempt="{{{{ ti.try_number }}}}")
    step("run_command", task_id="flaky", params=second, retries=1, retry_delay=timedelta(seconds=1))
    step("run_command", task_id="refuse", params=command("echo no column; exit 2"), on_failure_callback=told)

with DAG("{LONG}", schedule=None):
    seconds = "{{{{ dag_run.conf['seconds'] }}}}"
    step("hello", task_id="{WORK}", params={{"seconds": seconds}}, retries=1, retry_delay=timedelta(seconds=1))
'''


@dataclass(frozen=True)
class Shapes:
    """Runs that are over."""

    maps: Run
    worker_ends: Run
    failing: Run


def play(at: At) -> Shapes:
    """All that nobody disturbs."""
    started = Shapes(at.start(MAPS, {}), at.start(WORKER_ENDS, {}), at.start(FAILING, {"force": True}))
    at.green(started.maps, started.worker_ends)
    assert at.end(started.failing) == "failed"
    return started


def play_cleared(at: At) -> Run:
    """A run whose one task is cleared while its pod runs, to its end."""
    run = at.start(LONG, {"seconds": 15, "force": True})
    effects.next_running(at.timeline, WORK, {run.run_id})
    cleared = {"dry_run": False, "dag_run_id": run.run_id, "only_failed": False}
    at.api.call("POST", f"dags/{LONG}/clearTaskInstances", json=cleared)
    at.green(run)
    return run


def play_marked(at: At) -> Life:
    """The pod of a task that is marked as failed while it runs."""
    run = at.start(LONG, {"seconds": 300, "force": True})
    life = effects.next_running(at.timeline, WORK, {run.run_id})
    at.api.call("PATCH", f"dags/{LONG}/dagRuns/{run.run_id}/taskInstances/{WORK}", json={"new_state": "failed"})
    at.timeline.until(
        lambda _: bool({"ended", "gone"} & life.times.keys()), seconds=ENDED_WITHIN, what="the marked task's pod to end"
    )
    return life


def value(at: At, run: Run, task: str, *, index: int) -> Any:
    """What one of a mapped task left."""
    path = f"dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task}/xcomEntries/return_value"
    return at.api.call("GET", path, params={"map_index": index}).json()["value"]


def variable(at: At, name: str) -> str:
    """A variable of Airflow's; empty where there is none."""
    answer = at.api.call("GET", f"variables/{name}", missing_ok=True)
    return str(answer.json()["value"]) if answer.is_success else ""
