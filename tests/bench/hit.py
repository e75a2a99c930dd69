"""What a step costs that need not run: the time of a task whose recorded result is used.

A pipeline of the two steps of `petrol` runs once, and then again and again with nothing changed. Measured, of each task
of those runs: seconds from its start to its end as Airflow records them, and how much of that was over before the
triggerer began with it (the first line of the task's log). A task that did not hit fails the benchmark.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.bench import airflow_runs, dags, figures, hops
from tests.cluster.stage import staged
from tidegate.progress import console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.setting import Setting

GOAL = 1.0
"""Seconds, at the median of all tasks."""
SAID = "its result is used"
"""What the log of a task says that hit."""
RUN_SECONDS = 300.0
SETTLE_SECONDS = 1.0
HOUR_SECONDS = 3600


def measure(at: Setting) -> dict[str, Any]:
    """Task -> seconds of each run: `own`, and `before` the triggerer began."""
    samples: dict[str, dict[str, list[float]]] = {}
    with staged(at.kubectl, at.airflow, {dags.HIT: dags.petrol_like(dags.HIT)}):
        _within_one_hour(at.wish.hits)
        _once(at)
        for number in range(at.wish.hits):
            time.sleep(SETTLE_SECONDS)
            for task, times in _hits(at, _once(at)).items():
                for name, seconds in times.items():
                    samples.setdefault(task, {}).setdefault(name, []).append(seconds)
                console.print(f"  run {number + 1}, {task}: {times['own']:.2f} s", markup=False)
    return {"samples": samples}


def _within_one_hour(count: int) -> None:
    """Wait for the next hour where the runs would not fit into this one: `upload_model` has other work to do then."""
    left = HOUR_SECONDS - datetime.now(UTC).timestamp() % HOUR_SECONDS
    if left < RUN_SECONDS / 5 + 10 * count:
        console.print(f"  waiting {left:.0f} s for the next hour: the runs must all be of one")
        time.sleep(left + 1)


def _once(at: Setting) -> airflow_runs.Ended:
    ended = airflow_runs.once(at.airflow, dags.HIT, seconds=RUN_SECONDS, force=False)
    if ended.green != len(ended.tasks):
        raise AssertionError(f"{dags.HIT} {ended.run['dag_run_id']} ended {ended.run['state']}")
    return ended


def _hits(at: Setting, ended: airflow_runs.Ended) -> dict[str, dict[str, float]]:
    return {task["task_id"]: _times(at, task) for task in ended.tasks}


def _times(at: Setting, task: dict[str, Any]) -> dict[str, float]:
    where = (task["dag_id"], task["dag_run_id"], task["task_id"])
    entries = airflow_runs.log(at.airflow, *where, attempt=task["try_number"])
    if not any(SAID in str(entry.get("event")) for entry in entries):
        raise AssertionError(f"{'.'.join(where)} did not hit; its log says why")
    return times(task, entries)


def times(task: dict[str, Any], entries: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Seconds from a task's start to its end, and to the first line of its log where that has a time."""
    begun, over = (datetime.fromisoformat(task[name]) for name in ("start_date", "end_date"))
    picked_up = hops.from_log(entries)["picked_up"]
    before = {"before": (picked_up - begun).total_seconds()} if picked_up else {}
    return {"own": (over - begun).total_seconds(), **before}


def show(found: dict[str, Any]) -> str:
    """The section of the report."""
    samples: dict[str, dict[str, list[float]]] = found["samples"]
    rows = [
        [task, len(known["own"]), *(_told(known.get(name)) for name in ("own", "before"))]
        for task, known in samples.items()
    ]
    middle = figures.spread([seconds for known in samples.values() for seconds in known["own"]]).middle
    verdict = "met" if middle <= GOAL else "not met"
    headings = ["step", "hits", "from start to end, s: min / median / max", "of that before the triggerer began"]
    return "\n\n".join(
        [
            "The steps of `petrol` with nothing changed. Own run time of each task, as Airflow records it.",
            figures.table(headings, rows),
            f"Goal: at most {GOAL:.0f} s at the median; it is {middle:.2f} s: {verdict}.",
        ]
    )


def _told(seconds: Sequence[float] | None) -> str:
    if not seconds:
        return ""
    spread = figures.spread(seconds)
    return f"{spread.low:.2f} / {spread.middle:.2f} / {spread.high:.2f}"
