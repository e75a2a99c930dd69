"""Who may have a pod now: a limit for each pipeline and one for the cluster, first come, first served.

Airflow's pools, max_active_tasks and parallelism hold nothing back in a triggerer, so this does.
Reads, writes: the queue in the ledger's database, by `tidegate.ledger.admission`, one short transaction for all steps
of this process. For a pipeline that nothing limits the database is not touched.
Again: a try that asks again (its triggerer was killed) keeps its place and its admission.
It has no connections of its own: it is one more thing that the process's clerk runs.

Whoever asks holds a lease, renewed by its triggerer. A lapsed one that waits is passed over until it is renewed; a
lapsed one that was admitted counts on as long as its pod lives, so that a killed triggerer never leads to more pods
than the limit. While the database is away nobody new is admitted, and the log says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from tidegate.airflow.attempts import TI_ID, unfinished
from tidegate.airflow.clerk import CONNECTION, open_clerk
from tidegate.airflow.failures import Failure, Kind, Then
from tidegate.airflow.request import task_of
from tidegate.airflow.spec import PLATFORM_KEY, SpecError
from tidegate.ledger import LedgerError
from tidegate.ledger.address import VARIABLES
from tidegate.ledger.admission import Entry, Limits, turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from tidegate.airflow.identity import Identity
    from tidegate.airflow.watch import PodWatch
    from tidegate.ledger import AsyncLedger

log = logging.getLogger(__name__)

BEAT_SECONDS = 10.0
"""Between two renewals of all leases of this process."""

LOOK_SECONDS = 1.0
"""Between two looks for a free place, while somebody here waits for one."""


def limits(config: Mapping[str, str]) -> Limits:
    """Return how many steps may run at once, out of `{"limits": {"cluster": 20, "pipelines": {"petrol": 2}}}`.

    Raises:
        SpecError: A limit is not a positive whole number.
    """
    entry = json.loads(config.get(PLATFORM_KEY) or "{}").get("limits") or {}
    found = Limits(cluster=entry.get("cluster"), pipelines=entry.get("pipelines") or {})
    named = {
        "concurrency.cluster": found.cluster,
        **{f"concurrency.pipelines.{k}": v for k, v in found.pipelines.items()},
    }
    for where, value in named.items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise SpecError(f"{where} is {value!r} in the chart's values; want a whole number from 1, or nothing")
    return found


def holder_of(ti_id: str) -> str:
    """Return the name under which one try of a task instance asks."""
    return hashlib.sha256(ti_id.encode()).hexdigest()


@dataclass
class _Ticket:
    """One step that asks, or was let in."""

    entry: Entry
    admitted: asyncio.Event = field(default_factory=asyncio.Event)


class Desk:
    """Asks for all steps of this process at once. `run()` is its loop.

    Args:
        ledger: The ledger whose database has the queue.
        living: Holders of pods that have not ended, or None while that is not known.
    """

    def __init__(self, ledger: AsyncLedger, *, living: Callable[[], frozenset[str] | None]) -> None:
        self._ledger = ledger
        self._living = living
        self._tickets: dict[str, _Ticket] = {}
        self._leaving: set[str] = set()
        self._wake = asyncio.Event()
        self.limits: Limits | None = None

    async def enter(self, run: Identity, limits: Limits) -> None:
        """Wait until this try may have a pod."""
        entry = Entry(
            holder=holder_of(run.ti_id),
            task=task_of(run),
        )
        ticket = self._tickets.setdefault(entry.holder, _Ticket(entry))
        self.limits = limits
        self._wake.set()
        await ticket.admitted.wait()

    def leave(self, run: Identity) -> None:
        """Give the place back: the step has ended."""
        self._leaving.add(holder_of(run.ti_id))
        self.abandon(run)
        self._wake.set()

    def abandon(self, run: Identity) -> None:
        """Stop renewing: this process has no more to do with the step, which may go on elsewhere."""
        self._tickets.pop(holder_of(run.ti_id), None)

    async def run(self) -> None:
        """Renew, give back and look for free places until cancelled."""
        while True:
            await self._once()
            waiting = any(not ticket.admitted.is_set() for ticket in self._tickets.values())
            await self._pause(LOOK_SECONDS if waiting else BEAT_SECONDS)

    async def _once(self) -> None:
        entries = [ticket.entry for ticket in self._tickets.values()]
        leaving = frozenset(self._leaving)
        if self.limits is None or not (entries or leaving):
            return
        try:
            asked = turn(entries, leaving=leaving, limits=self.limits, living=self._living())
            admitted = await self._ledger.do(asked)
        except (LedgerError, SQLAlchemyError, OSError) as fault:
            log.warning("admission waits: %s", fault)
            return
        self._leaving -= leaving
        for holder in admitted:
            if ticket := self._tickets.get(holder):
                ticket.admitted.set()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()


@asynccontextmanager
async def admitted(
    run: Identity, limits: Limits, *, watch: PodWatch, within: float, say: Callable[[str], None]
) -> AsyncIterator[Failure | None]:
    """Hold a place while the block runs; gives a failure where none was to be had `within` seconds.

    A block that ends gives the place back; one that is cancelled keeps it, since its pod may live on.
    """
    if limits.cluster is None and limits.pipeline(run.dag_id) is None:
        yield None
        return
    desk = await _desk(watch)
    try:
        entering = asyncio.create_task(desk.enter(run, limits))
        done, _ = await asyncio.wait({entering}, timeout=LOOK_SECONDS)
        if not done:
            say(f"waiting for one of {limits.pipeline(run.dag_id) or limits.cluster} places of running steps")
            await asyncio.wait({entering}, timeout=within)
        late = not entering.done()
        entering.cancel()
        yield _too_late(within) if late else None
    except asyncio.CancelledError:
        desk.abandon(run)
        raise
    desk.leave(run)


def _too_late(within: float) -> Failure:
    message = f"no place among the running steps within {within:.0f} s; raise concurrency in the chart's values"
    return Failure(kind=Kind.NOT_ADMITTED, message=message, then=Then.RETRY, started=False)


async def _desk(watch: PodWatch) -> Desk:
    """Return the desk of this event loop, namespace and database, opened by the first caller.

    Raises:
        SpecError: There is no ledger, though the chart sets a limit; or it cannot be used.
    """
    if (clerk := await open_clerk()) is None:
        raise SpecError(
            f"concurrency is limited, but there is no ledger: set ${VARIABLES[0]} or connection {CONNECTION}"
        )
    name = f"tidegate-admission-{watch.pods.namespace}"
    return clerk.beside(name, lambda: Desk(clerk.ledger, living=lambda: _living(watch)))


def _living(watch: PodWatch) -> frozenset[str] | None:
    if not watch.synced.is_set():
        return None
    pods = [pod["metadata"] for pod in watch.current.values() if unfinished(pod)]
    return frozenset(holder_of(str(pod.get("annotations", {}).get(TI_ID, ""))) for pod in pods)
