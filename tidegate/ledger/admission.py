"""Who may have a pod now: a limit for each pipeline and one for the cluster, first come first served.

A process takes a `turn` for all its tries at once: renews their leases, gives places back, fills those that are free.
A pipeline that is full holds up nobody else's; within it, and for the cluster, the order of arrival holds. A lapsed
try that waits is passed over until it is renewed, and keeps its number; a lapsed one that was let in counts as long
as its pod lives, so that a killed triggerer never leads to more pods than the limit.
Again: a try that asks again keeps its place and its admission. A retry is another try: it queues anew.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from tidegate.ledger.model import Task
from tidegate.ledger.tables import ledger_admission, ledger_gate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import RowMapping

    from tidegate.ledger.transaction import Operation, Tx

LEASE = timedelta(seconds=60)
"""How long a place is kept without a sign of life: longer than a triggerer needs to take over."""

RENEW = timedelta(seconds=10)
"""A lease younger than this is not written again: five hundred that wait are looked at every second."""

FORGET = timedelta(days=2)
"""After so long a lapsed try that only waited is removed."""

GATE = "admission"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many steps may have a pod at once; None is no limit."""

    cluster: int | None = None
    pipelines: Mapping[str, int] = field(default_factory=dict)

    def pipeline(self, name: str) -> int | None:
        """The limit of one pipeline."""
        return self.pipelines.get(name)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One try that asks for a place."""

    holder: str
    """Its name in the queue; whoever asks again under it keeps the place."""
    task: Task


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """One try in the queue; smaller numbers came first."""

    number: int
    holder: str
    task: Task
    asked: datetime
    admitted: datetime | None = None
    expires: datetime


def turn(
    entries: Sequence[Entry], *, leaving: Collection[str], limits: Limits, living: Collection[str] | None
) -> Operation[frozenset[str]]:
    """Renew `entries`, give back `leaving`, fill free places; tells which of `entries` have one.

    Args:
        entries: all that this process asks for or holds, in order of arrival.
        leaving: holders whose pods have ended.
        limits: how many places there are.
        living: holders whose pod lives; None where that is not known, then no lapsed place is given away.
    """

    def operation(tx: Tx) -> frozenset[str]:
        _enter_alone(tx)
        _remove(tx, leaving)
        _renew(tx, entries)
        tickets = _tickets(tx)
        gone = over(tickets, now=tx.now, living=living)
        _remove(tx, gone)
        standing = [ticket for ticket in tickets if ticket.holder not in gone]
        chosen = next_in(standing, limits, now=tx.now)
        _admit(tx, chosen)
        inside = {ticket.holder for ticket in standing if ticket.admitted} | set(chosen)
        return frozenset(inside & {entry.holder for entry in entries})

    return operation


def next_in(tickets: Sequence[Ticket], limits: Limits, *, now: datetime) -> tuple[str, ...]:
    """Of the tickets in order of arrival the holders that get in now. Pure."""
    running = [ticket.task.pipeline for ticket in tickets if ticket.admitted]
    chosen: list[str] = []
    for ticket in tickets:
        pipeline = ticket.task.pipeline
        if ticket.admitted or ticket.expires < now or not _room(running.count(pipeline), limits.pipeline(pipeline)):
            continue
        if not _room(len(running), limits.cluster):
            break
        running.append(pipeline)
        chosen.append(ticket.holder)
    return tuple(chosen)


def over(tickets: Sequence[Ticket], *, now: datetime, living: Collection[str] | None) -> frozenset[str]:
    """Lapsed holders that may be removed: their pod is gone; or they waited and nobody came for days. Pure."""
    lapsed = [ticket for ticket in tickets if ticket.expires < now]
    free = [
        ticket.holder for ticket in lapsed if ticket.admitted and living is not None and ticket.holder not in living
    ]
    waited = [ticket.holder for ticket in lapsed if not ticket.admitted and ticket.expires < now - FORGET]
    return frozenset([*free, *waited])


def queue() -> Operation[tuple[Ticket, ...]]:
    """All who run or wait, in order of arrival: for people."""
    return _tickets


def _room(used: int, limit: int | None) -> bool:
    return limit is None or used < limit


def _enter_alone(tx: Tx) -> None:
    """One at a time through the gate: two that count at once would both find the last place free."""
    tx.conn.execute(update(ledger_gate).where(ledger_gate.c.name == GATE).values(turn=ledger_gate.c.turn + 1))


def _renew(tx: Tx, entries: Sequence[Entry]) -> None:
    holders = [entry.holder for entry in entries]
    mine = ledger_admission.c.holder.in_(holders)
    known = set(tx.conn.execute(select(ledger_admission.c.holder).where(mine)).scalars())
    due = ledger_admission.c.lease_expires < tx.now + LEASE - RENEW
    tx.conn.execute(update(ledger_admission).where(mine, due).values(lease_expires=tx.now + LEASE))
    for entry in entries:
        if entry.holder not in known:
            values = {**asdict(entry.task), "holder": entry.holder, "datetime_asked": tx.now}
            tx.conn.execute(insert(ledger_admission).values(**values, lease_expires=tx.now + LEASE))


def _remove(tx: Tx, holders: Collection[str]) -> None:
    if holders:
        tx.conn.execute(delete(ledger_admission).where(ledger_admission.c.holder.in_(holders)))


def _admit(tx: Tx, holders: Iterable[str]) -> None:
    chosen = ledger_admission.c.holder.in_(list(holders))
    tx.conn.execute(update(ledger_admission).where(chosen).values(datetime_admitted=tx.now))


def _tickets(tx: Tx) -> tuple[Ticket, ...]:
    found = tx.conn.execute(select(ledger_admission).order_by(ledger_admission.c.id)).mappings()
    return tuple(_ticket(record) for record in found)


def _ticket(record: RowMapping) -> Ticket:
    names = ("pipeline", "run_id", "task_id", "map_index", "try_number")
    return Ticket(
        number=record["id"],
        holder=record["holder"],
        task=Task(**{name: record[name] for name in names}),
        asked=record["datetime_asked"],
        admitted=record["datetime_admitted"],
        expires=record["lease_expires"],
    )
