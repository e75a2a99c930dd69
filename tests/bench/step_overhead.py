"""One no-op step by each way there is to run it, in turns, and where the time of `step()` goes.

Ways: a bare pod made with the Kubernetes client; `step()`; a stock KubernetesPodOperator, and the same deferrable. All
have the same image, the same pod and the same Airflow. A round runs each way once; each round begins with another.
Measured: seconds from the request (a run that is asked for, a pod that is asked for) to the end that the API knows.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.bench import airflow_runs, bare, dags, figures, hops
from tests.cluster.stage import staged
from tests.cluster.timeline import Timeline
from tidegate.cli.kubectl import STEPS_NAMESPACE
from tidegate.progress import console

if TYPE_CHECKING:
    from datetime import datetime

    from tests.bench.setting import Setting

BARE, STEP, STOCK, DEFERRABLE = "bare pod", "step()", "stock operator", "stock operator, deferrable"
DAG_OF = {STEP: dags.STEP, STOCK: dags.STOCK, DEFERRABLE: dags.DEFERRABLE}
WAYS = (BARE, STEP, STOCK, DEFERRABLE)
GOAL = 0.25
"""Overhead of `step()` over the bare pod, as a share of the stock operator's."""
RUN_SECONDS = 300.0
SETTLE_SECONDS = 3.0
"""Between two measurements, for what the one before has left to do."""


def measure(at: Setting) -> dict[str, Any]:
    """Samples of every way, in seconds, round by round; and the marks of each round of `step()`."""
    samples: dict[str, list[float]] = {way: [] for way in WAYS}
    marks: list[dict[str, datetime | None]] = []
    files = {
        dags.STEP: dags.single(dags.STEP),
        dags.STOCK: dags.stock(dags.STOCK, at.pod, deferrable=False),
        dags.DEFERRABLE: dags.stock(dags.DEFERRABLE, at.pod, deferrable=True),
    }
    with staged(at.kubectl, at.airflow, files):
        _warm(at)
        for number in range(at.wish.rounds):
            for way in turned(WAYS, number):
                samples[way].append(_bare(at) if way == BARE else _airflow(at, way, marks))
                console.print(f"  round {number + 1}, {way}: {samples[way][-1]:.1f} s", markup=False)
    return {"samples": samples, "hops": figures.hops(marks, hops.ORDER)}


def turned(ways: tuple[str, ...], number: int) -> tuple[str, ...]:
    """The same ways, beginning with another in each round."""
    first = number % len(ways)
    return ways[first:] + ways[:first]


def _warm(at: Setting) -> None:
    """One run of each that does not count: imports, images and first connections."""
    for dag_id in DAG_OF.values():
        _green(airflow_runs.once(at.airflow, dag_id, seconds=RUN_SECONDS))


def _bare(at: Setting) -> float:
    time.sleep(SETTLE_SECONDS)
    with bare.batch(at.kubectl, at.pods, at.pod, count=1, seconds=RUN_SECONDS) as one:
        if not one.succeeded:
            raise AssertionError("the bare pod failed; see the ConfigMap tidegate-steps")
        return one.seconds


def _airflow(at: Setting, way: str, marks: list[dict[str, datetime | None]]) -> float:
    time.sleep(SETTLE_SECONDS)
    if way != STEP:
        return _green(airflow_runs.once(at.airflow, DAG_OF[way], seconds=RUN_SECONDS)).seconds
    with Timeline(at.kubectl, STEPS_NAMESPACE, f"tidegate.dev/dag={dags.STEP}") as timeline:
        ended = _green(airflow_runs.once(at.airflow, dags.STEP, seconds=RUN_SECONDS))
        marks.append(hops.marks(at.airflow, ended, timeline.lives()))
    return ended.seconds


def _green(ended: airflow_runs.Ended) -> airflow_runs.Ended:
    """A run that failed measures nothing."""
    if ended.green != len(ended.tasks):
        raise AssertionError(f"{ended.run['dag_id']} {ended.run['dag_run_id']} ended {ended.run['state']}")
    return ended


def show(found: dict[str, Any]) -> str:
    """The section of the report."""
    samples: dict[str, list[float]] = found["samples"]
    extra = {way: figures.spread(costs) for way, costs in figures.over(samples, floor=BARE).items()}
    rows = []
    for way in WAYS:
        own = extra.get(way)
        share = f"{own.middle / extra[STOCK].middle:.2f}" if own else ""
        rows.append([way, figures.spread(samples[way]), own or "", share])
    headings = ["way", "seconds: min / median / max", "over the bare pod of the round", "of the stock operator's"]
    ratio = extra[STEP].middle / extra[STOCK].middle
    verdict = "met" if ratio <= GOAL else "not met"
    lines = [
        f"One no-op step, {len(samples[BARE])} rounds in turns. From the request to the end of the task, in seconds.",
        figures.table(headings, rows),
        f"Goal: the overhead of `step()` is at most {GOAL} of the stock operator's; it is {ratio:.2f}: {verdict}.",
        "Where the time of `step()` goes (medians; pods as this machine's watch sees them):",
        figures.table(["hop", "seconds since the request", "seconds since the hop before", "rounds"], _hops(found)),
    ]
    return "\n\n".join(lines)


def _hops(found: dict[str, Any]) -> list[list[object]]:
    return [[hops.MEANING[name], f"{total:.2f}", f"{took:.2f}", count] for name, total, took, count in found["hops"]]
