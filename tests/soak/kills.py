"""The kill matrix, one kill at a time: `make soak`, or `pytest tests/soak/kills.py -k "triggerer and running"`.

It is no rung of `make test`: it takes about an hour. `tests/cluster/test_6b_components.py` has one kill of each.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.cluster import counted, kills
from tests.soak import cells
from tidegate.cli import pods, runs
from tidegate.cli.kubectl import STEPS_NAMESPACE
from tidegate.cluster import commands
from tidegate.cluster.errors import ClusterError
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.timeline import Life, Timeline
    from tests.soak.conftest import Scene

COMES_WITHIN = 120
ENDS_WITHIN = 600
READY_SECONDS = 600.0
INTO_THE_RUN = 3.0
"""Seconds after the first step's container has started."""
REACHED = {cells.CREATING: "made", cells.RUNNING: "running", cells.FINISHING: "ended"}


@pytest.mark.parametrize("cell", cells.CELLS, ids=str)
def test_a_kill_costs_nothing(cell: cells.Cell, scene: Scene) -> None:
    pods.wait_ready(scene.kubectl, seconds=READY_SECONDS)
    scene.triggerers(cell.victim.triggerers)
    shoot = aimed(scene, cell.victim)
    start, run_id, result = time.monotonic(), scene.api.trigger(scene.dag.dag_id), "not judged"
    try:
        shot = shoot(run_id, reached(scene.timeline, run_id, cell.moment))
        if shot:
            kills.wait_back(scene.kubectl, shot)
            runs.until(lambda: answers(scene), seconds=READY_SECONDS, what="Airflow to answer", state=str)
        judge(scene, run_id, again=cell.victim.component in cells.TAKES_MORE)
        result = "ok"
    except (AssertionError, ClusterError) as fault:
        result = (str(fault) or type(fault).__name__).splitlines()[0][:200]
        raise
    finally:
        note(scene, str(cell), run_id, result=result, seconds=time.monotonic() - start)


def answers(scene: Scene) -> bool:
    """Whether Airflow has its database again."""
    try:
        return scene.api.dag(scene.dag.dag_id) is not None
    except ClusterError:
        return False


def note(scene: Scene, cell: str, run_id: str, *, result: str, seconds: float) -> None:
    """Write the outcome into the report."""
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {commit()}"
    attempts = "unknown"
    with suppress(ClusterError):
        attempts = tries(scene, run_id)
    cells.keep(cells.Outcome(cell, when, result, seconds, made(scene.timeline, run_id), attempts))


def reached(timeline: Timeline, run_id: str, moment: str) -> Life:
    """The first step's pod, at the moment."""
    stage = REACHED[moment]

    def there(lives: list[Life]) -> bool:
        return any(one.note("run-id") == run_id and stage in one.times for one in lives)

    timeline.until(there, seconds=COMES_WITHIN, what=f"the first step's pod to be {stage}")
    if moment == cells.RUNNING:
        time.sleep(INTO_THE_RUN)
    return counted.pods(timeline, run_id, counted.FIRST)[0]


def aimed(scene: Scene, victim: cells.Victim) -> Callable[[str, Life], kills.Aim | None]:
    """What kills it, as far as it can be found out beforehand; gives what was shot, to see it come back."""

    def pod(_: str, first: Life) -> None:
        where = ("--namespace", STEPS_NAMESPACE, "--wait=false", "--ignore-not-found")
        scene.kubectl.text("delete", "pod", first.name, *where)

    def other(run_id: str, _: Life) -> kills.Aim:
        shot = aims[owner(scene, run_id, aims)]
        shot.fire(signal=victim.signal)
        return shot

    if victim.component == cells.POD:
        return pod
    names = [""]
    if victim.component != kills.KUBELET:
        names = [one["metadata"]["name"] for one in kills.pods_of(scene.kubectl, victim.component)]
    aims = {name: kills.aim(scene.kubectl, victim.component, pod=name) for name in names}
    return other


def owner(scene: Scene, run_id: str, aims: dict[str, kills.Aim]) -> str:
    """Of several triggerers the one that follows the first step; what there is otherwise."""
    if len(aims) == 1:
        return next(iter(aims))
    first = next(one for one in scene.api.tasks(scene.dag.dag_id, run_id) if one["task_id"] == counted.FIRST)
    query = {"job_type": "TriggererJob", "order_by": "-id", "limit": 100}
    jobs = scene.api.call("GET", "jobs", params=query).json()["jobs"]
    wanted = (first.get("trigger") or {}).get("triggerer_id")
    host = next((str(job["hostname"]) for job in jobs if job["id"] == wanted), "")
    found = [name for name in aims if name == host.partition(".")[0]]
    assert found, f"no triggerer follows the first step: it is at {host or 'none'}, there are {sorted(aims)}"
    return found[0]


def judge(scene: Scene, run_id: str, *, again: bool) -> None:
    """What must hold after every kill; unless it may run `again`, a step was not started a second time either."""
    counted.assert_success(scene.api, scene.dag, run_id, seconds=ENDS_WITHIN)
    counted.assert_no_pod_lives(scene.timeline, run_id)
    counted.assert_one_effect(scene.store, scene.dag, run_id)
    counted.assert_complete_log(scene.api, scene.dag, run_id)
    for task in (counted.FIRST, counted.SECOND):
        assert counted.at_once(counted.pods(scene.timeline, run_id, task)) <= 1, f"two pods of {task} ran at once"
    if not again:
        assert (made(scene.timeline, run_id), tries(scene, run_id)) == ("1 + 1", "1 + 1"), "a step ran again"


def made(timeline: Timeline, run_id: str) -> str:
    """How many pods each step had."""
    return " + ".join(str(len(counted.pods(timeline, run_id, task))) for task in (counted.FIRST, counted.SECOND))


def tries(scene: Scene, run_id: str) -> str:
    """The last try of each step."""
    known = {task["task_id"]: task["try_number"] for task in scene.api.tasks(scene.dag.dag_id, run_id)}
    return " + ".join(str(known.get(task, 0)) for task in (counted.FIRST, counted.SECOND))


def commit() -> str:
    """What was tested."""
    return commands.output(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]).strip()
