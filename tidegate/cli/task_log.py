"""The log of one try of a task, wherever it is now.

Reads: the pod, while it runs; Airflow's own log, which has the step's lines too and stays when the pod is gone; and
where Airflow does not answer, the newest pod that is kept. Writes: nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tidegate.cli import airflow_api, runs, step_pods
from tidegate.cli.fault import Fault
from tidegate.cli.kubectl import STEPS_NAMESPACE
from tidegate.cluster.errors import ClusterError
from tidegate.progress import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

UNMAPPED = -1
OVER = (*runs.OVER, "skipped", "removed", "upstream_failed")
EVERY = 1.0
"""Seconds between looks while a task is followed."""
PATIENCE = 30.0
"""Seconds that Airflow may take to answer before its pods are looked at instead."""
TRY, INDEX = "tidegate.dev/try", "tidegate.dev/map-index"
"""Labels of a step's pod."""

Pod = dict[str, Any]


class Unknown(Fault):
    """There is no such run or task; another way to its log would find none either."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Whose log; what is left open is the newest."""

    dag: str
    task: str
    run: str | None = None
    attempt: int | None = None
    index: int = UNMAPPED


@dataclass(frozen=True, kw_only=True)
class Found:
    """One try that Airflow knows."""

    run: str
    attempt: int
    state: str


def lines(kubectl: Kubectl, wanted: Wanted, *, follow: bool = False) -> Iterator[str]:
    """The lines there are; with `follow` those that come too, until the task is over.

    Raises:
        Unknown: There is no such run or task; the text names those there are.
        ClusterError: Airflow does not answer and no pod is left, or the cluster does not answer.
    """
    try:
        with airflow_api.airflow(kubectl, patience=PATIENCE) as api:
            found = located(api, wanted)
            pod = None if follow else _living(kubectl, wanted, found)
            if pod is None:
                known = replace(wanted, run=found.run)
                yield from _followed(api, known) if follow else _of_airflow(api, wanted, found)
                return
    except Unknown:
        raise
    except ClusterError as error:
        pod = _kept(kubectl, wanted)
        if pod is None:
            raise
        console.print(f"Airflow does not answer ({str(error)[:200]}); this is what the pod has", markup=False)
    yield from _of_pod(kubectl, pod)


def located(api: Airflow, wanted: Wanted) -> Found:
    """The run and the try that are meant."""
    run = wanted.run or _newest(api, wanted.dag)
    tasks = api.tasks(wanted.dag, run)
    mine = [task for task in tasks if task["task_id"] == wanted.task]
    if not mine:
        names = ", ".join(sorted({task["task_id"] for task in tasks})) or "none yet"
        msg = f"run {run} of {wanted.dag} has no task {wanted.task!r}; want one of {names}"
        raise Unknown(msg)
    chosen = next((task for task in mine if task.get("map_index", UNMAPPED) == wanted.index), None)
    if chosen is None:
        indexes = ", ".join(str(task["map_index"]) for task in mine)
        msg = f"{wanted.task} is mapped; say which with --index, one of {indexes}"
        raise Unknown(msg)
    attempt = wanted.attempt or max(1, chosen["try_number"])
    return Found(run=run, attempt=attempt, state=chosen["state"] or "waiting")


def _newest(api: Airflow, dag: str) -> str:
    if api.dag(dag) is None:
        msg = f"Airflow knows no pipeline {dag!r}; want one of {', '.join(api.dag_ids())}"
        raise Unknown(msg)
    newest = api.runs(dag, limit=1)
    if not newest:
        msg = f"{dag} has never run; `tidegate trigger {dag}` starts it"
        raise Unknown(msg)
    return str(newest[0]["dag_run_id"])


def _of_airflow(api: Airflow, wanted: Wanted, found: Found) -> list[str]:
    return api.log(wanted.dag, found.run, wanted.task, attempt=found.attempt, index=wanted.index)


def _followed(api: Airflow, wanted: Wanted) -> Iterator[str]:
    """Airflow's log as it grows: it comes from several files, sorted by time, so a line may come between others."""
    said: Counter[str] = Counter()
    while True:
        found = located(api, wanted)
        seen = Counter[str]()
        for line in _of_airflow(api, wanted, found):
            seen[line] += 1
            if seen[line] > said[line]:
                said[line] += 1
                yield line
        if found.state in OVER:
            return
        time.sleep(EVERY)


def _pods(kubectl: Kubectl, wanted: Wanted, ids: dict[str, str]) -> list[Pod]:
    index = "none" if wanted.index == UNMAPPED else str(wanted.index)
    found = step_pods.of_steps(kubectl, dag=wanted.dag, task=wanted.task, **ids)
    return [pod for pod in found if pod["metadata"]["labels"].get(INDEX, "none") == index]


def _living(kubectl: Kubectl, wanted: Wanted, found: Found) -> Pod | None:
    """The pod of this try, while it runs."""
    mine = _pods(kubectl, wanted, {"run": found.run})
    return next(
        (pod for pod in reversed(mine) if _try(pod) == found.attempt and pod["status"].get("phase") == "Running"), None
    )


def _kept(kubectl: Kubectl, wanted: Wanted) -> Pod | None:
    """The newest pod that has begun, running or not, of what was asked for."""
    mine = _pods(kubectl, wanted, {"run": wanted.run} if wanted.run else {})
    begun = [pod for pod in mine if pod["status"].get("phase") != "Pending"]
    return next((pod for pod in reversed(begun) if wanted.attempt in (None, _try(pod))), None)


def _try(pod: Pod) -> int:
    return int(pod["metadata"]["labels"].get(TRY, 0))


def _of_pod(kubectl: Kubectl, pod: Pod) -> list[str]:
    name = pod["metadata"]["name"]
    return kubectl.text("logs", name, "--namespace", STEPS_NAMESPACE, timeout=120).splitlines()
