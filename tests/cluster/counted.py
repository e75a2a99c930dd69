"""A run of two steps whose effects, pods and log lines can be counted, and what must be true of it in the end.

The first step prints `lines` numbered lines over `seconds`, the second a few at once; each then writes one object to
the store, which keeps every version of it: a step that published twice would show.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegate.cli import runs
from tidegate.cli.objects import BUCKET
from tidegate.step.errors import TryAgain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from tests.cluster.timeline import Life, Timeline
    from tidegate.cli.airflow_api import Airflow

FIRST, SECOND = "first", "second"
SECOND_LINES = 3
PREFIX = "kills"
"""Where the runs write, in the store."""
LINE = re.compile(r"\bline (\d+) of (\d+)\b")
SETTLED_SECONDS = 60
"""After the end of a run, no pod of it may live longer."""

S3 = Any
"""A boto3 client; boto3 makes its classes at run time."""

_DAG = '''\
"""Two steps whose effects can be counted."""

from datetime import timedelta

from airflow.sdk import DAG

from tidegate.airflow import step

AGAIN = {{"retries": 3, "retry_delay": timedelta(seconds=5)}}

with DAG("{dag_id}", schedule=None, max_active_runs=16, default_args=AGAIN):
    first = step(
        "hello",
        task_id="first",
        params={{"lines": {lines}, "seconds": {seconds}}},
        output="{prefix}/{dag_id}/{{{{ run_id }}}}/first",
    )
    second = step("hello", task_id="second", params={{"lines": 3}}, output="{prefix}/{dag_id}/{{{{ run_id }}}}/second")
    first >> second
'''


@dataclass(frozen=True)
class Counted:
    """The DAG: its first step prints `lines` lines in `seconds`."""

    dag_id: str
    lines: int
    seconds: float

    @property
    def text(self) -> str:
        """Its file."""
        return _DAG.format(dag_id=self.dag_id, lines=self.lines, seconds=self.seconds, prefix=PREFIX)

    @property
    def selector(self) -> str:
        """Label selector of its pods."""
        return f"tidegate.dev/dag={self.dag_id}"

    def lines_of(self, task_id: str) -> int:
        """How many numbered lines a step prints."""
        return self.lines if task_id == FIRST else SECOND_LINES


def pods(timeline: Timeline, run_id: str, task_id: str) -> list[Life]:
    """The pods of a step of a run, those that are gone too, in the order they were seen."""
    return [one for one in timeline.lives() if (one.note("run-id"), one.note("task-id")) == (run_id, task_id)]


def versions(store: S3, dag: Counted, run_id: str) -> Counter[str]:
    """Object -> versions and marks of deletion that the store has of it, below what a run writes."""
    return versions_below(store, f"{PREFIX}/{dag.dag_id}/{run_id}/")


def versions_below(store: S3, prefix: str) -> Counter[str]:
    """The same, below any prefix, which the names then lack."""
    pages = store.get_paginator("list_object_versions").paginate(Bucket=BUCKET, Prefix=prefix)
    kinds = ("Versions", "DeleteMarkers")
    return Counter(one["Key"].removeprefix(prefix) for page in pages for kind in kinds for one in page.get(kind, []))


def forget(store: S3, dag: Counted) -> None:
    """Remove every version of all that the runs of the DAG wrote."""
    forget_below(store, f"{PREFIX}/{dag.dag_id}/")


def forget_below(store: S3, prefix: str) -> None:
    """Remove every version of all objects below a prefix."""
    pages = store.get_paginator("list_object_versions").paginate(Bucket=BUCKET, Prefix=prefix)
    for page in pages:
        for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            store.delete_object(Bucket=BUCKET, Key=one["Key"], VersionId=one["VersionId"])


def missing_lines(log: Sequence[str], *, wanted: int) -> list[int]:
    """The numbers of lines that a log lacks; a line may stand in it twice, where two triggerers have read it."""
    found = {int(match[1]) for line in log if (match := LINE.search(line)) and int(match[2]) == wanted}
    return sorted(set(range(1, wanted + 1)) - found)


def assert_one_pod(lives: Sequence[Life]) -> None:
    """A step had one pod; or one more for each that found its store away and said so, but never two at once.

    Without its kubelet a node's pods are not ready for a while, the store's among them.
    """
    told = {one.name: one.ended for one in lives}
    *before, last = lives
    assert last.succeeded, told
    assert [[end["exitCode"] for end in one.ended] for one in before] == [[TryAgain.exit_code]] * len(before), told
    assert at_once(lives) <= 1, told


def at_once(lives: Sequence[Life]) -> int:
    """How many of these pods had a running container at the same time, at most."""
    ran = [one.times for one in lives if "running" in one.times]
    return most((times["running"], times.get("ended") or times.get("gone")) for times in ran)


def most(spans: Iterable[tuple[datetime, datetime | None]]) -> int:
    """How many spans of time, each from its begin to its end if it has one, there were at the same time, at most."""
    changes = []
    for begin, end in spans:
        changes += [(begin, 1), *([(end, -1)] if end else [])]
    highest = now = 0
    for _, change in sorted(changes):
        now += change
        highest = max(highest, now)
    return highest


def assert_one_effect(store: S3, dag: Counted, run_id: str) -> None:
    """Each step has published exactly once."""
    assert versions(store, dag, run_id) == {f"{task}/greeting.txt": 1 for task in (FIRST, SECOND)}


def assert_complete_log(api: Airflow, dag: Counted, run_id: str) -> None:
    """The log of each task's last try has every line that its step printed."""
    tries = {task["task_id"]: task["try_number"] for task in api.tasks(dag.dag_id, run_id)}
    logs = {task: api.log(dag.dag_id, run_id, task, attempt=attempt) for task, attempt in tries.items()}
    short = {task: missing_lines(log, wanted=dag.lines_of(task)) for task, log in logs.items()}
    assert short == {FIRST: [], SECOND: []}, "\n".join(line for log in logs.values() for line in log[-30:])


def assert_no_pod_lives(timeline: Timeline, run_id: str) -> None:
    """A minute after the end of a run at the latest, all of its pods have ended."""

    def over(lives: list[Life]) -> bool:
        return all({"ended", "gone"} & one.times.keys() for one in lives if one.note("run-id") == run_id)

    timeline.until(over, seconds=SETTLED_SECONDS, what=f"the pods of {run_id} to end")


def assert_success(api: Airflow, dag: Counted, run_id: str, *, seconds: float) -> None:
    """The run ends in success within `seconds`; its failing task's log otherwise."""
    run = runs.Run(dag.dag_id, run_id)
    assert runs.wait(api, [run], seconds=seconds)[run] == "success", runs.failure(api, run)
