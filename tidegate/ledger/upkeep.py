"""Keeping the ledger honest and small: `invalidate` and `gc`. Neither touches an object in a store.

Again: both change nothing the second time. Running attempts are never touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, update

from tidegate.ledger.errors import LedgerError
from tidegate.ledger.model import State
from tidegate.ledger.rows import SHORT, by_id, read
from tidegate.ledger.tables import ledger_row, ledger_use

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from tidegate.ledger.model import Row
    from tidegate.ledger.transaction import Operation, Tx

BATCH = 500
"""Rows that one statement deletes."""


@dataclass(frozen=True, kw_only=True)
class Age:
    """What `gc` knows of a row."""

    row: Row
    touched: datetime
    """When it ended or was last used for a hit."""
    newest_success: bool
    """It is what the next run of the same work would hit."""


def invalidate(filters: Mapping[str, str], *, why: str) -> Operation[tuple[Row, ...]]:
    """Make all succeeded rows with these column values worthless; gives them as they were.

    Raises:
        LedgerError: no filter at all, which would be the whole ledger.
    """
    if not filters:
        raise LedgerError("name what to invalidate: a row, --key, --pipeline or --step")

    def operation(tx: Tx) -> tuple[Row, ...]:
        query = select(ledger_row).where(ledger_row.c.state == State.SUCCEEDED).order_by(ledger_row.c.id)
        for name, value in filters.items():
            query = query.where(ledger_row.c[name] == value)
        found = read(tx, query)
        chosen = ledger_row.c.id.in_([row.id for row in found])
        values = {"state": State.INVALIDATED, "message": why[:SHORT]}
        tx.conn.execute(update(ledger_row).where(chosen, ledger_row.c.state == State.SUCCEEDED).values(**values))
        return tuple(found)

    return operation


def invalidate_row(number: int, *, why: str) -> Operation[tuple[Row, ...]]:
    """The same for the work of one row: an older result of the same key must not come back in its place."""

    def operation(tx: Tx) -> tuple[Row, ...]:
        return invalidate({"key": by_id(tx, number).key}, why=why)(tx)

    return operation


def gc(*, older_than: timedelta, also_hits: bool = False, dry_run: bool = False) -> Operation[tuple[Row, ...]]:
    """Remove rows nobody needs, and the record of hits older than that; gives the rows.

    Args:
        older_than: since a row ended and was last used.
        also_hits: also those that the next run of the same work would hit, when nobody did for so long.
        dry_run: only tell.
    """

    def operation(tx: Tx) -> tuple[Row, ...]:
        before = tx.now - older_than
        rows = tuple(age.row for age in _ages(tx) if unneeded(age, before=before, now=tx.now, also_hits=also_hits))
        if not dry_run:
            _delete(tx, [row.id for row in rows])
            old = (ledger_use.c.verdict == "hit", ledger_use.c.datetime_decided < before)
            tx.conn.execute(delete(ledger_use).where(*old))
        return rows

    return operation


def unneeded(age: Age, *, before: datetime, now: datetime, also_hits: bool) -> bool:
    """Whether `gc` may remove a row. Pure."""
    row = age.row
    if row.state is State.RUNNING or age.touched >= before:
        return False
    return also_hits or not age.newest_success or _expired(row, now)


def _expired(row: Row, now: datetime) -> bool:
    if row.ttl_seconds is None or row.datetime_finished is None:
        return False
    return (now - row.datetime_finished).total_seconds() >= row.ttl_seconds


def _ages(tx: Tx) -> list[Age]:
    found = read(tx, select(ledger_row).where(ledger_row.c.state != State.RUNNING).order_by(ledger_row.c.id))
    newest = {row.key: row.id for row in sorted(found, key=lambda row: row.attempt) if row.state is State.SUCCEEDED}
    last = func.max(ledger_use.c.datetime_decided).label("last")
    query = select(ledger_use.c.row_id, last).group_by(ledger_use.c.row_id)
    used: dict[int, datetime] = {use.row_id: use.last for use in tx.conn.execute(query)}
    return [
        Age(
            row=row,
            touched=max(row.datetime_finished or row.datetime_started, used.get(row.id, row.datetime_started)),
            newest_success=newest.get(row.key) == row.id,
        )
        for row in found
    ]


def _delete(tx: Tx, numbers: list[int]) -> None:
    for start in range(0, len(numbers), BATCH):
        chosen = numbers[start : start + BATCH]
        tx.conn.execute(delete(ledger_use).where(ledger_use.c.row_id.in_(chosen)))
        tx.conn.execute(delete(ledger_row).where(ledger_row.c.id.in_(chosen)))
