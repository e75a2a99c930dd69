"""How the ledger is, and what steps did lately: the figures behind `tidegate status`.

Reads only. Of the past the newest rows are counted, so that the answer takes no longer in a ledger that has grown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, ColumnElement, Table, func, select

from tidegate.ledger.model import State
from tidegate.ledger.tables import ledger_admission, ledger_row, ledger_use

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from tidegate.ledger.transaction import Operation, Tx

NEWEST = 20_000
"""Rows of a table that are looked at."""


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """Counts; of the past within `since`."""

    running: int
    """Attempts under way, whose leases hold."""
    lapsed: int
    """Attempts that nobody has renewed in time: whoever wants the same work next takes over."""
    waiting: int
    """Tries that wait for the same work elsewhere."""
    queued: int
    """Tries that wait for a place among those that may have a pod."""
    succeeded: int
    failed: int
    hits: int
    """Tries that used a recorded result, so that no pod started."""
    failures: Mapping[str, int]
    """Of those that failed: class -> how many."""


def pulse(*, since: timedelta) -> Operation[Pulse]:
    """Count, in one transaction."""

    def operation(tx: Tx) -> Pulse:
        start = tx.now - since
        ended = _ended(tx, start)
        uses = _counted(tx, ledger_use, ledger_use.c.verdict, ledger_use.c.datetime_decided >= start)
        failures = {reason or "unknown": count for (state, reason), count in ended.items() if state == State.FAILED}
        return Pulse(
            running=_leases(tx, ledger_row.c.lease_expires >= tx.now),
            lapsed=_leases(tx, ledger_row.c.lease_expires < tx.now),
            waiting=uses.get("wait", 0),
            queued=_queued(tx),
            succeeded=sum(count for (state, _), count in ended.items() if state == State.SUCCEEDED),
            failed=sum(failures.values()),
            hits=uses.get("hit", 0),
            failures=failures,
        )

    return operation


def _leases(tx: Tx, held: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(ledger_row).where(ledger_row.c.state == State.RUNNING, held)
    return int(tx.conn.execute(query).scalar_one())


def _queued(tx: Tx) -> int:
    waits = ledger_admission.c.datetime_admitted.is_(None), ledger_admission.c.lease_expires >= tx.now
    return int(tx.conn.execute(select(func.count()).select_from(ledger_admission).where(*waits)).scalar_one())


def _ended(tx: Tx, start: datetime) -> dict[tuple[str, str], int]:
    """(state, exit reason) -> how many attempts ended so."""
    columns = (ledger_row.c.state, ledger_row.c.exit_reason)
    query = select(*columns, func.count()).where(_newest(tx, ledger_row), ledger_row.c.datetime_finished >= start)
    return {(state, reason): count for state, reason, count in tx.conn.execute(query.group_by(*columns))}


def _counted(tx: Tx, table: Table, column: Column[Any], wanted: ColumnElement[bool]) -> dict[str, int]:
    query = select(column, func.count()).where(_newest(tx, table), wanted).group_by(column)
    return {str(value): int(count) for value, count in tx.conn.execute(query)}


def _newest(tx: Tx, table: Table) -> ColumnElement[bool]:
    last = tx.conn.execute(select(func.max(table.c.id))).scalar_one_or_none()
    return table.c.id > (last or 0) - NEWEST
