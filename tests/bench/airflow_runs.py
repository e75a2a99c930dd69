"""Runs of the benchmarks' DAGs, and what Airflow says of them afterwards.

Reads: the REST API: dates of runs and task instances, task logs. Writes: runs. Again: a new run each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tidegate.cli import runs

if TYPE_CHECKING:
    from tidegate.cli.airflow_api import Airflow

PAGE = 100
"""Task instances that Airflow gives at once."""
LOOK_SECONDS = 1.0
"""Between two looks at a run: what is measured comes from Airflow's own dates, and a look costs the cluster work."""


@dataclass(frozen=True)
class Ended:
    """A run that is over."""

    run: dict[str, Any]
    tasks: list[dict[str, Any]]

    @property
    def seconds(self) -> float:
        """From the run's request to the end of its last task."""
        return (max(_date(one["end_date"]) for one in self.tasks) - _date(self.run["queued_at"])).total_seconds()

    @property
    def green(self) -> int:
        """Tasks that succeeded."""
        return sum(one["state"] == "success" for one in self.tasks)


def once(api: Airflow, dag_id: str, *, seconds: float, force: bool = True, every: float = LOOK_SECONDS) -> Ended:
    """One run from its request to its end, at most `seconds`; unless it is forced, recorded results are used."""
    run_id = api.trigger(dag_id, conf={"force": True} if force else {})
    found: list[dict[str, Any]] = []

    def over() -> bool:
        found[:] = [run for run in [api.run(dag_id, run_id)] if run]
        return bool(found) and found[0]["state"] in runs.OVER

    state = lambda: f"{found} {counts(api, dag_id, run_id)}"  # noqa: E731 - said only when the time is over
    runs.until(over, seconds=seconds, what=f"a run of {dag_id}", state=state, every=every)
    return Ended(found[0], tasks(api, dag_id, run_id))


def tasks(api: Airflow, dag_id: str, run_id: str) -> list[dict[str, Any]]:
    """All task instances of a run, mapped ones too."""
    found: list[dict[str, Any]] = []
    while True:
        query = {"limit": PAGE, "offset": len(found)}
        page = api.call("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", params=query).json()
        found += page["task_instances"]
        if not page["task_instances"] or len(found) >= page["total_entries"]:
            return found


def counts(api: Airflow, dag_id: str, run_id: str) -> dict[str, int]:
    """State -> how many tasks of a run are in it; `in the triggerer` of those that are deferred and picked up."""
    found: dict[str, int] = {}
    for one in tasks(api, dag_id, run_id):
        state = str(one["state"])
        found[state] = found.get(state, 0) + 1
        if (one.get("trigger") or {}).get("triggerer_id") is not None:
            found["in the triggerer"] = found.get("in the triggerer", 0) + 1
    return found


def log(api: Airflow, dag_id: str, run_id: str, task_id: str, *, attempt: int = 1) -> list[dict[str, Any]]:
    """The entries of a task's log that have a time: `timestamp`, `event`, `logger` and others."""
    path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
    content = api.call("GET", path, params={"full_content": "true"}).json()["content"]
    return [one for one in content if isinstance(one, dict) and one.get("timestamp")]


def date(text: str | None) -> datetime | None:
    """One of Airflow's dates."""
    return datetime.fromisoformat(text) if text else None


def _date(text: str) -> datetime:
    return datetime.fromisoformat(text)
