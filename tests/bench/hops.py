"""The hops of one step's life, from the request for its run to the run's end.

Reads: Airflow's dates, the task's log, the node's container records, and a watch on the pod. Writes: nothing.
All clocks are one: the kind node runs on this machine.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.bench import airflow_runs
from tests.cluster import kills
from tidegate.cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.airflow_runs import Ended
    from tests.cluster.timeline import Life
    from tidegate.cli.airflow_api import Airflow

MEANING = {
    "asked": "the run is asked for",
    "begun": "the scheduler starts the run",
    "deferred": "the scheduler hands the step to the triggerer",
    "picked_up": "the triggerer begins (first line of the task's log)",
    "made": "the pod is created",
    "scheduled": "the pod has a node",
    "container": "its container is made",
    "printed": "the step prints its first line",
    "finished": "the step prints its last line",
    "ended": "the API server knows the pod's end",
    "told": "the triggerer has seen it (last line of the task's log)",
    "over": "the task has ended",
    "run_over": "the run has ended",
}
"""Hop -> what happens then."""
ORDER = tuple(MEANING)
POD_LOGGER = "pod"
"""Logger of the lines that a pod printed; they carry the node's times."""


def marks(api: Airflow, ended: Ended, lives: Sequence[Life]) -> dict[str, datetime | None]:
    """When each hop happened in a run of one step; None where that is not known."""
    run, task = ended.run, ended.tasks[0]
    life = next((one for one in lives if one.note("run-id") == run["dag_run_id"]), None)
    seen = life.times if life else {}
    return {
        "asked": airflow_runs.date(run["queued_at"]),
        "begun": airflow_runs.date(run["start_date"]),
        "deferred": airflow_runs.date(task["start_date"]),
        "made": seen.get("made"),
        "scheduled": seen.get("scheduled"),
        "container": container_made(life.pod) if life else None,
        "ended": seen.get("ended"),
        "over": airflow_runs.date(task["end_date"]),
        "run_over": airflow_runs.date(run["end_date"]),
        **from_log(
            airflow_runs.log(api, run["dag_id"], run["dag_run_id"], task["task_id"], attempt=task["try_number"])
        ),
    }


def from_log(entries: Sequence[dict[str, Any]]) -> dict[str, datetime | None]:
    """What the log of a task tells: its own lines are the triggerer's, the pod's are the step's."""
    times = {True: [], False: []}  # type: dict[bool, list[datetime]]
    for entry in entries:
        times[entry.get("logger") == POD_LOGGER].append(datetime.fromisoformat(entry["timestamp"]))
    own, pods = sorted(times[False]), sorted(times[True])
    return {
        "picked_up": own[0] if own else None,
        "printed": pods[0] if pods else None,
        "finished": pods[-1] if pods else None,
        "told": own[-1] if own else None,
    }


def container_made(pod: dict[str, Any]) -> datetime | None:
    """When the node made the pod's container, to the microsecond: the pod's own status has whole seconds."""
    try:
        identity = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
        record = json.loads(kills.in_node("ctr", "--namespace=k8s.io", "containers", "info", identity))
        return datetime.fromisoformat(cut(record["CreatedAt"]))
    except (ClusterError, LookupError, ValueError):  # the node has forgotten it, or is none of ours
        return None


def cut(stamp: str) -> str:
    """A time with nanoseconds, as Python reads it: with microseconds."""
    head, dot, tail = stamp.partition(".")
    digits = tail.rstrip("Z")
    return f"{head}{dot}{digits[:6].ljust(6, '0')}+00:00" if dot else stamp
