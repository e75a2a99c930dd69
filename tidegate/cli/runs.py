"""Starting runs of pipelines and waiting for them, with their progress shown.

Reads: the REST API. Writes: runs. Again: a new run each time; what it publishes is the steps' affair.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tidegate.cli.fault import Fault
from tidegate.progress import console

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tidegate.cli.airflow_api import Airflow

OVER = ("success", "failed")
EVERY = 2.0
"""Seconds between looks."""


@dataclass(frozen=True)
class Run:
    """One run of one pipeline."""

    dag_id: str
    run_id: str


@dataclass(frozen=True)
class Ran:
    """A task of a run that is over, with what its step reported."""

    run: Run
    task_id: str
    state: str
    attempt: int
    seconds: float
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def outputs(self) -> dict[str, str]:
        """Output name -> URL."""
        return {one["name"]: one["url"] for one in self.result.get("outputs", [])}


def wait_visible(api: Airflow, dag_id: str, *, source: str | None = None, seconds: float = 180) -> None:
    """Return once Airflow knows the DAG, in the version whose file is `source` where that is given."""

    def seen() -> bool:
        known = api.dag(dag_id)
        # A DAG whose file was removed stays known, with its last source, and takes no runs.
        return known is not None and not known["is_stale"] and (source is None or api.source(dag_id) == source)

    until(seen, seconds=seconds, what=f"DAG {dag_id} to show in Airflow", state=lambda: _import_faults(api))


def wait_known(api: Airflow, dag_id: str, *, file: Path) -> None:
    """Return once Airflow takes runs of the DAG: at once where it knows it, else as soon as it has read its `file`.

    Raises:
        Fault: There is no such file either; the text names the DAGs there are.
    """
    known = api.dag(dag_id)
    if known is not None and not known["is_stale"]:
        return
    if not file.is_file():
        msg = f"Airflow knows no pipeline {dag_id!r}; want one of {', '.join(api.dag_ids())}"
        raise Fault(msg)
    console.print(f"  Airflow has not read {file.name} yet; waiting for it", markup=False)
    wait_visible(api, dag_id)


def _import_faults(api: Airflow) -> str:
    faults = [f"{one['filename']}: {one['stack_trace']}" for one in api.import_errors()]
    return "\n".join(faults) or "no import errors"


def until(
    done: Callable[[], bool], *, seconds: float, what: str, state: Callable[[], str], every: float = EVERY
) -> None:
    """Return when `done()`; after the deadline raise `Fault` with what was waited for and the state then."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            msg = f"waited {seconds:.0f} s for {what}; now: {state()}"
            raise Fault(msg)
        time.sleep(every)


def wait(api: Airflow, runs: Sequence[Run], *, seconds: float = 1200) -> dict[Run, str]:
    """Wait until every run is over and print each change of a task's state; the runs' final states."""
    said: dict[tuple[Run, str], str] = {}
    states: dict[Run, str] = {}

    def over() -> bool:
        for run in runs:
            if states.get(run) not in OVER:
                found = api.run(run.dag_id, run.run_id)
                _show_changes(api, run, said)
                states[run] = found["state"] if found else "gone"
        return all(states[run] in OVER for run in runs)

    what = ", ".join(f"{run.dag_id} {run.run_id}" for run in runs)
    until(
        over,
        seconds=seconds,
        what=f"the end of {what}",
        state=lambda: str({f"{k[0].dag_id}.{k[1]}": v for k, v in said.items()}),
    )
    return states


def _show_changes(api: Airflow, run: Run, said: dict[tuple[Run, str], str]) -> None:
    for task in api.tasks(run.dag_id, run.run_id):
        key, now = (run, task["task_id"]), _words(task)
        if said.get(key) != now:
            said[key] = now
            console.print(f"  {run.dag_id}.{task['task_id']}: {now}", markup=False)


def _words(task: dict[str, Any]) -> str:
    attempt = f" (try {task['try_number']})" if task["try_number"] > 1 else ""
    return f"{task['state'] or 'waiting'}{attempt}"


def ran(api: Airflow, run: Run) -> list[Ran]:
    """The tasks of a run, in the order they started, each with its result."""
    return [_ran(api, run, task) for task in api.tasks(run.dag_id, run.run_id)]


def _ran(api: Airflow, run: Run, task: dict[str, Any]) -> Ran:
    value = api.xcom(run.dag_id, run.run_id, task["task_id"]) if task["state"] == "success" else None
    result = value if isinstance(value, dict) else {}
    return Ran(run, task["task_id"], task["state"] or "none", task["try_number"], task["duration"] or 0.0, result)


def failure(api: Airflow, run: Run) -> str:
    """The last lines of the log of every task of a run that failed."""
    parts = []
    for task in api.tasks(run.dag_id, run.run_id):
        if task["state"] == "failed":
            lines = api.log(run.dag_id, run.run_id, task["task_id"], attempt=task["try_number"])
            parts.append("\n".join([f"{run.dag_id}.{task['task_id']} failed; the end of its log:", *lines[-25:]]))
    return "\n".join(parts) or f"{run.dag_id} {run.run_id} failed before a task did"
