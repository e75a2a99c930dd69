"""What every task's try got, and what that saved: the answers behind `tidegate ledger uses` and the page in the UI.

Reads only. A try that hit saved one pod and the time its row once took.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import LABEL_STYLE_TABLENAME_PLUS_COL, select

from tidegate.ledger.model import Task
from tidegate.ledger.rows import is_, row_of
from tidegate.ledger.tables import ledger_row, ledger_use

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import ColumnElement, RowMapping

    from tidegate.ledger.model import Row
    from tidegate.ledger.transaction import Operation, Tx


@dataclass(frozen=True, kw_only=True)
class Use:
    """One try: it ran the row (`run`), used its result (`hit`), waits for it (`wait`), or no longer (`gave_up`)."""

    task: Task
    verdict: str
    decided: datetime
    row: Row

    @property
    def saved_seconds(self) -> float:
        """The time the work took when it was done."""
        return (self.row.seconds or 0.0) if self.verdict == "hit" else 0.0


@dataclass(frozen=True, kw_only=True)
class Savings:
    """What hits were worth."""

    pods: int
    seconds: float


def uses(filters: Mapping[str, Any], *, limit: int) -> Operation[tuple[Use, ...]]:
    """The newest tries, by `pipeline`, `run_id`, `task_id`, `verdict`, `row_id` or the row's `step`; sets mean any."""

    def operation(tx: Tx) -> tuple[Use, ...]:
        query = select(ledger_use, ledger_row).join(ledger_row, ledger_row.c.id == ledger_use.c.row_id)
        query = query.where(*_conditions(filters))
        query = query.order_by(ledger_use.c.id.desc()).limit(limit).set_label_style(LABEL_STYLE_TABLENAME_PLUS_COL)
        return tuple(_use(record) for record in tx.conn.execute(query).mappings())

    return operation


def use_of(task: Task) -> Operation[Use | None]:
    """What one try got: the link from a task instance to its row."""

    def operation(tx: Tx) -> Use | None:
        return next(iter(uses({"holder": task.holder}, limit=1)(tx)), None)

    return operation


def savings(found: Sequence[Use]) -> Savings:
    """What the hits among them were worth. Pure."""
    hits = [use for use in found if use.verdict == "hit"]
    return Savings(pods=len(hits), seconds=round(sum(use.saved_seconds for use in hits), 3))


def saved(filters: Mapping[str, Any], *, since: timedelta) -> Operation[Savings]:
    """What all hits of that time were worth, by the same filters."""

    def operation(tx: Tx) -> Savings:
        times = (ledger_row.c.datetime_started, ledger_row.c.datetime_finished)
        query = select(*times).join(ledger_use, ledger_row.c.id == ledger_use.c.row_id)
        recent = (ledger_use.c.verdict == "hit", ledger_use.c.datetime_decided >= tx.now - since)
        found = tx.conn.execute(query.where(*recent, *_conditions(filters))).all()
        seconds = sum((finished - started).total_seconds() for started, finished in found if finished)
        return Savings(pods=len(found), seconds=round(seconds, 3))

    return operation


def names(column: str, filters: Mapping[str, Any]) -> Operation[tuple[str, ...]]:
    """What there is to filter by: all `pipeline` or `step` of rows that fit."""

    def operation(tx: Tx) -> tuple[str, ...]:
        chosen = ledger_row.c[column]
        query = select(chosen).where(*(is_(ledger_row.c[name], value) for name, value in filters.items()))
        return tuple(tx.conn.execute(query.distinct().order_by(chosen)).scalars())

    return operation


def _conditions(filters: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    return [is_((ledger_row if name == "step" else ledger_use).c[name], value) for name, value in filters.items()]


def _use(record: RowMapping) -> Use:
    mine = {name.name: record[f"ledger_use_{name.name}"] for name in fields(Task)}
    row = row_of({column.name: record[f"ledger_row_{column.name}"] for column in ledger_row.c})
    verdict, decided = record["ledger_use_verdict"], record["ledger_use_datetime_decided"]
    return Use(task=Task(**mine), verdict=verdict, decided=decided, row=row)
