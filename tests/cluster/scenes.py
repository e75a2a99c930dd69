"""What is played on the cluster for the tests of the ledger: each scene starts runs, disturbs them and sees them end.

Reads: Airflow's API, the pods, the ledger. Writes: runs; in one scene nobody reaches the ledger for some seconds.
Again: every call has parameter sets of its own, so that it hits nothing of an earlier one.
"""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.cluster import book, effects
from tests.cluster.commands import tidegate
from tidegate.cli import runs
from tidegate.cli.kubectl import STEPS_NAMESPACE
from tidegate.cli.runs import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tests.cluster.timeline import Timeline
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

NAME = f"set-{time.time_ns()}"
"""Of this call's parameter sets."""
SEED = int(time.time())
TRAIN, UPLOAD = "train_model", "upload_model"
ENDS_WITHIN = 600
EVERY = 4.0
"""Seconds between looks: many acts look at once, and each look costs the api-server what the steps could use."""


@dataclass(frozen=True)
class At:
    """The cluster, and what is watched of it."""

    kubectl: Kubectl
    api: Airflow
    book: book.Book
    timeline: Timeline

    def start(self, dag_id: str, conf: dict[str, Any], *, date: datetime | None = None) -> Run:
        return Run(dag_id, self.api.trigger(dag_id, conf=conf, logical_date=date))

    def state(self, run: Run) -> str:
        return str((self.api.run(run.dag_id, run.run_id) or {}).get("state"))

    def states(self, dag_id: str, run_ids: Collection[str]) -> dict[str, str]:
        found = self.api.runs(dag_id, limit=len(run_ids) + 10)
        return {one["dag_run_id"]: one["state"] for one in found if one["dag_run_id"] in run_ids}

    def green(self, *started: Run) -> None:
        """All of them have ended well."""
        for run in started:
            assert self.end(run) == "success", runs.failure(self.api, run)

    def end(self, run: Run) -> str:
        """How a run ended, once it has."""
        self.until(lambda: self.state(run) in runs.OVER, what=f"{run} to end")
        return self.state(run)

    def until(self, done: Callable[[], bool], *, what: str, seconds: float = ENDS_WITHIN) -> None:
        pods = lambda: str({one.name: one.phase for one in self.timeline.lives()})  # noqa: E731 - said only when late
        runs.until(done, seconds=seconds, what=what, state=pods, every=EVERY)

    def value(self, run: Run, task: str) -> Any:
        return self.api.xcom(run.dag_id, run.run_id, task)

    def pods(self, run: Run) -> list[tuple[str, int]]:
        """Task and try of each pod that a run has had."""
        mine = [one for one in self.timeline.lives() if one.note("run-id") == run.run_id]
        return sorted((one.note("task-id"), int(one.note("try"))) for one in mine)


@dataclass(frozen=True)
class Outage:
    begun: Run
    """A run of `petrol` whose training was under way."""
    during: Run
    """A run of `hello` from its request to its end within the outage."""


def play_outage(at: At) -> Outage:
    conf = {"n_estimators": 2500, "random_state": SEED}
    begun = at.start("petrol", conf, date=datetime(2014, 1, 1, tzinfo=UTC) + fraction())
    effects.next_running(at.timeline, TRAIN, {begun.run_id})
    with book.locked_out(at.kubectl):
        during = at.start("hello", {"name": NAME})
        at.until(lambda: done_in_time(at, begun, during), what="both to end without a ledger")
    return Outage(begun, during)


def done_in_time(at: At, begun: Run, during: Run) -> bool:
    trained = {task["task_id"]: task["state"] for task in at.api.tasks(begun.dag_id, begun.run_id)}[TRAIN]
    return trained in runs.OVER and at.state(during) in runs.OVER


def fraction() -> timedelta:
    """Of an hour: Airflow refuses a second run of the same logical date."""
    return timedelta(seconds=random.randrange(3500), microseconds=random.randrange(10**6 - 1))  # noqa: S311


@dataclass(frozen=True)
class Petrol:
    first: Run
    values: dict[str, Any]
    """What its tasks handed on before it was cleared."""
    again: Run
    """The same parameters and hour."""
    hour: datetime
    """The first's, which is the hour before this one."""
    plan: list[dict[str, Any]]
    later: Run
    """The same parameters in this hour, as planned."""


def play_petrol(at: At) -> Petrol:
    conf, date = {"n_estimators": 5, "random_state": SEED + 1}, last_hour()
    first = at.start("petrol", conf, date=date)
    at.green(first)
    values = {task: at.value(first, task) for task in (TRAIN, UPLOAD)}
    with ThreadPoolExecutor(1) as beside:
        planning = beside.submit(planned, conf)
        again = at.start("petrol", conf, date=date + timedelta(microseconds=1))
        at.green(again)
        at.api.call("POST", f"dags/petrol/dagRuns/{first.run_id}/clear", json={"dry_run": False, "only_failed": False})
        at.green(first)
    later = at.start("petrol", conf)
    at.green(later)
    return Petrol(first, values, again, date, planning.result(), later)


def last_hour() -> datetime:
    """A moment of the hour before this one that no other run has."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return now - timedelta(hours=1) + fraction()


def planned(conf: dict[str, Any]) -> list[dict[str, Any]]:
    told = tidegate("plan", "petrol", "--conf", json.dumps(conf), "--json", seconds=200)
    assert told.returncode == 0, told.stderr
    return list(json.loads(told.stdout))


@dataclass(frozen=True)
class Tables:
    """Two pipelines that share their common tasks."""

    training: Run
    testing: Run


def play_tables(at: At) -> Tables:
    training = at.start("ml_training_dag", {"parameter_1": NAME, "parameter_2": "two"})
    at.green(training)
    testing = at.start("ml_testing_dag", {"parameter_1": NAME, "parameter_3": "three"})
    at.green(testing)
    return Tables(training, testing)


@dataclass(frozen=True)
class Race:
    ended: dict[str, str]
    stopped: str
    """The run that was marked failed while it held the work."""

    @property
    def green(self) -> list[Run]:
        return [Run(effects.RACE, run_id) for run_id, state in self.ended.items() if state == "success"]


def play_race(at: At) -> Race:
    """The first holder's pod is deleted, the second holder's run is marked failed."""
    at.api.call("PATCH", f"dags/{effects.RACE}", json={"is_paused": True})
    run_ids = {at.start(effects.RACE, {"set": NAME}).run_id for _ in range(effects.RUNS)}
    at.api.unpause(effects.RACE)
    first = effects.next_running(at.timeline, effects.DISTURBED, run_ids)
    at.kubectl.text("delete", "pod", first.name, "--namespace", STEPS_NAMESPACE, "--wait=false")
    stopped = effects.next_running(at.timeline, effects.DISTURBED, run_ids, after=1).note("run-id")
    at.api.call("PATCH", f"dags/{effects.RACE}/dagRuns/{stopped}", json={"state": "failed"})
    at.until(lambda: set(at.states(effects.RACE, run_ids).values()) <= set(runs.OVER), what=f"{effects.RACE} to end")
    return Race(at.states(effects.RACE, run_ids), stopped)


@dataclass(frozen=True)
class Force:
    old: Run
    new: Run


def play_force(at: At) -> Force:
    old = at.start(effects.FORCE, {"set": f"{NAME}-force"})
    effects.next_running(at.timeline, effects.SLOW, {old.run_id})
    new = at.start(effects.FORCE, {"set": f"{NAME}-force", "force": True})
    at.green(old, new)
    return Force(old, new)
