"""Remove pods whose try is over, and old finished ones: the net behind everything that can be killed.

Reads: the pods of the steps' namespace, then the task instances they name from Airflow's database. Writes: deletes
pods, and Secrets that were made for pods which have ended. Again: it decides from what is there each time; two at once
do no harm, since every delete names a uid.

Airflow's database is asked and not its REST API, since it must work while the API server is the one that is down, one
query answers for all pods, and no person's password is needed. Only `task_instance.id` and `.state` are read; the id
is new for every try and stands in the pod's annotation `tidegate.dev/ti-id`. Pods are listed first and states read
second: a try that is over then was over or ended since, so a pod of a living try is never taken.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Column, MetaData, String, Table, Uuid, create_engine, make_url, select
from sqlalchemy.exc import OperationalError, ProgrammingError

from tidegate.airflow import notice
from tidegate.airflow.attempts import TI_ID, unfinished
from tidegate.airflow.credentials import left_behind, take_back
from tidegate.airflow.identity import PREFIX
from tidegate.airflow.kube import Kube
from tidegate.airflow.spec import steps_namespace
from tidegate.airflow.watch import SELECTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Engine

    from tidegate.airflow.kube import Pod, Pods

LIVING = frozenset({"deferred", "scheduled", "queued", "running", "restarting"})
"""States of a try that may still need its pod: in the triggerer, or on the way to a worker that ends it."""

KEPT = 3
"""Finished pods kept for each task of a DAG, newest first: people read their logs with kubectl."""

KEPT_FOR = timedelta(days=7)
"""No finished pod is kept longer."""

RECENT = timedelta(minutes=15)
"""Whatever has ended within it is kept: a mapped step has many pods at once, and removing them slows the others."""

YOUNG = timedelta(seconds=30)
"""A pod younger than this is left alone, for the state may be written a moment after the pod."""

BATCH = 500

_task_instance = Table("task_instance", MetaData(), Column("id", Uuid(), primary_key=True), Column("state", String(20)))

States = dict[str, str]
"""State by task instance id; an id that is not there belongs to a try that is over."""


@dataclass(frozen=True, kw_only=True)
class Removal:
    """One pod to delete, and why."""

    name: str
    uid: str
    why: str


def plan(
    pods: Sequence[Pod],
    states: Mapping[str, str],
    *,
    now: datetime,
    kept: int = KEPT,
    kept_for: timedelta = KEPT_FOR,
    recent: timedelta = RECENT,
) -> list[Removal]:
    """Say which pods go: a pure function of the pods and of the states of their tries.

    Args:
        pods: As listed before the states were read.
        states: By task instance id.
        now: The time.
        kept: Finished pods kept for each task of a DAG.
        kept_for: How long at most.
        recent: How long all of them are kept after their end.
    """
    removals = [found for pod in pods if (found := _over(pod, states, now=now))]
    finished: dict[tuple[str, str], list[Pod]] = defaultdict(list)
    for pod in pods:
        if not unfinished(pod) and states.get(_ti_id(pod)) not in LIVING:
            labels = pod["metadata"].get("labels", {})
            finished[labels.get(f"{PREFIX}dag", ""), labels.get(f"{PREFIX}task", "")].append(pod)
    for group in finished.values():
        group.sort(key=_created, reverse=True)
        for rank, pod in enumerate(group):
            if (rank >= kept and now - _ended(pod) >= recent) or now - _created(pod) > kept_for:
                removals.append(_removal(pod, f"finished; {kept} are kept for each task, at most {kept_for.days} days"))
    return removals


def _over(pod: Pod, states: Mapping[str, str], *, now: datetime) -> Removal | None:
    """Say so of an unfinished pod whose try is over. A pod without a task instance (a test's) is left alone."""
    ti_id = _ti_id(pod)
    if not ti_id or not unfinished(pod) or pod["metadata"].get("deletionTimestamp") or now - _created(pod) < YOUNG:
        return None
    state = states.get(ti_id)
    if state in LIVING:
        return None
    return _removal(pod, f"its try is over ({state or 'cleared or deleted'})")


def _removal(pod: Pod, why: str) -> Removal:
    return Removal(name=pod["metadata"]["name"], uid=pod["metadata"]["uid"], why=why)


def _ti_id(pod: Pod) -> str:
    return str(pod["metadata"].get("annotations", {}).get(TI_ID, ""))


def _created(pod: Pod) -> datetime:
    return datetime.fromisoformat(pod["metadata"]["creationTimestamp"])


def _ended(pod: Pod) -> datetime:
    """When its last container ended, as the node tells it; its beginning where it has none that ended."""
    states = [one.get("state", {}).get("terminated") or {} for one in pod["status"].get("containerStatuses") or ()]
    ends = [datetime.fromisoformat(one["finishedAt"]) for one in states if one.get("finishedAt")]
    return max(ends, default=_created(pod))


def read_states(engine: Engine, ids: Iterable[str]) -> States:
    """Return the states of these task instances; those of earlier tries are not there any more."""
    wanted = sorted({uuid.UUID(ti_id) for ti_id in ids if ti_id})
    found: States = {}
    with engine.connect() as connection:
        for start in range(0, len(wanted), BATCH):
            query = select(_task_instance).where(_task_instance.c.id.in_(wanted[start : start + BATCH]))
            found |= {str(row.id): str(row.state or "") for row in connection.execute(query)}
    return found


async def reconcile(
    pods: Pods,
    states: Callable[[Iterable[str]], Mapping[str, str]],
    *,
    dry_run: bool = False,
    kept: int = KEPT,
    kept_for: timedelta = KEPT_FOR,
    recent: timedelta = RECENT,
) -> list[Removal]:
    """Delete what is over; return what was (or with `dry_run` would be) deleted.

    Args:
        pods: The cluster.
        states: Gives states by task instance id, such as `read_states` with an engine.
        dry_run: Only say it.
        kept: As in `plan`.
        kept_for: As in `plan`.
        recent: As in `plan`.
    """
    found, _ = await pods.select(SELECTOR)
    known = await asyncio.to_thread(states, [_ti_id(pod) for pod in found])
    removals = plan(found, known, now=datetime.now(tz=UTC), kept=kept, kept_for=kept_for, recent=recent)
    if not dry_run:
        await _tidy(pods, found, removals, known)
    return removals


async def _tidy(pods: Pods, found: Sequence[Pod], removals: Sequence[Removal], states: Mapping[str, str]) -> None:
    """Tell those that listen why they go, delete what goes, and the Secrets of pods that have ended."""
    going = {removal.uid for removal in removals}
    last = [pod for pod in found if pod["metadata"]["uid"] in going and unfinished(pod) and not _followed(pod, found)]
    await notice.tell(pods, last, why="the task was stopped in Airflow")
    for removal in removals:
        await pods.delete(removal.name, uid=removal.uid)
    for pod in found:
        ended = not unfinished(pod) and states.get(_ti_id(pod)) not in LIVING
        if ended and left_behind(pod) and pod["metadata"]["uid"] not in going:
            await take_back(pods, pod)


def _followed(pod: Pod, others: Sequence[Pod]) -> bool:
    """Whether a later try of the same task instance is at work: what this one began elsewhere is the other's now."""
    return any(
        unfinished(other) and _ti_id(other) != _ti_id(pod) and _instance(other) == _instance(pod) for other in others
    )


def _instance(pod: Pod) -> tuple[str, ...]:
    labels = pod["metadata"].get("labels", {})
    return tuple(labels.get(f"{PREFIX}{key}", "") for key in ("dag", "task", "run", "map-index"))


def airflow_engine() -> Engine:
    """Return an engine on Airflow's database, as the environment of every Airflow pod names it.

    Raises:
        SystemExit: The variable is not set.
    """
    address = os.environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "")
    if not address:
        raise SystemExit("set $AIRFLOW__DATABASE__SQL_ALCHEMY_CONN, as in every Airflow pod")
    url = make_url(address)
    return create_engine(url.set(drivername=url.drivername.replace("+asyncpg", "").replace("+aiosqlite", "")))


async def _main(options: argparse.Namespace) -> None:
    pods, engine = await Kube.connect(options.namespace), airflow_engine()
    try:
        for removal in await reconcile(
            pods,
            lambda ids: read_states(engine, ids),
            dry_run=options.dry_run,
            kept=options.keep,
            kept_for=timedelta(days=options.days),
            recent=timedelta(minutes=options.minutes),
        ):
            print(f"{'would delete' if options.dry_run else 'deleted'} {removal.name}: {removal.why}")  # noqa: T201
    except (OperationalError, ProgrammingError) as fault:
        raise SystemExit(f"Airflow's database cannot be used (yet): {type(fault.orig).__name__}") from None
    finally:
        engine.dispose()
        await pods.close()


def main() -> None:
    """Reconcile once; what the CronJob runs (`python -m tidegate.airflow.reconcile`)."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--namespace", default=steps_namespace(), help="where steps run")
    parser.add_argument("--keep", type=int, default=KEPT, help="finished pods kept for each task")
    parser.add_argument("--days", type=int, default=KEPT_FOR.days, help="days that a finished pod is kept at most")
    parser.add_argument(
        "--minutes", type=int, default=RECENT // timedelta(minutes=1), help="minutes that each finished pod is kept"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
