"""Rows of tables to the ledger's words and back; the queries that only read."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from tidegate.ledger.canonical import canonical
from tidegate.ledger.errors import NoSuchRow
from tidegate.ledger.model import Output, Row, State
from tidegate.ledger.tables import ledger_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, RowMapping, Select

    from tidegate.ledger.model import Outcome, Request
    from tidegate.ledger.transaction import Tx

JSON_FIELDS = ("params", "inputs", "parts", "metrics")

HISTORY = 100
"""Attempts of one key that a decision looks at; older ones cannot change it."""

NEAR = 50
"""Earlier rows of a step that `explain` compares with."""

SHORT = 4000
"""Characters of free text that are kept; a traceback is in the log."""


def row_of(record: Mapping[str, Any] | RowMapping) -> Row:
    """A database row in the ledger's words."""
    values = {item.name: record[item.name] for item in fields(Row)}
    values |= {name: json.loads(values[name]) for name in JSON_FIELDS}
    values |= {
        "extra": json.loads(values["extra"] or "{}"),
        "state": State(values["state"]),
        "outputs": tuple(Output(**item) for item in json.loads(values["outputs"])),
    }
    return Row(**values)


def new_row(request: Request, *, attempt: int, now: datetime, reason: str, detail: str) -> dict[str, Any]:
    """The columns of an attempt that begins now."""
    parts = request.key.parts
    task = {name: getattr(request.task, name) for name in ("pipeline", "run_id", "task_id", "map_index", "try_number")}
    return {
        **task,
        "holder": request.task.holder,
        "key": request.key.digest,
        "attempt": attempt,
        "step": parts["step"],
        "image": parts["image"],
        "params": canonical(parts["params"]),
        "inputs": canonical(parts["inputs"]),
        "parts": canonical(parts),
        "state": State.RUNNING,
        "lease_expires": now + request.lease,
        "datetime_started": now,
        "output_path": request.output_path,
        "reason": reason,
        "detail": detail[:SHORT],
        "ttl_seconds": request.ttl.total_seconds() if request.ttl is not None else None,
        **empty_outcome(),
        "log_url": request.log_url,
    }


def empty_outcome() -> dict[str, Any]:
    """What is not known of an attempt before it has ended."""
    texts = dict.fromkeys(("summary", "pod", "node", "exit_reason", "message", "log_url"), "")
    return {"outputs": "[]", "metrics": "{}", "datetime_finished": None, **texts}


def outcome_values(outcome: Outcome, *, now: datetime) -> dict[str, Any]:
    """The columns an attempt's end fills; what it leaves empty keeps what `note` wrote."""
    values = asdict(outcome) | {
        "outputs": canonical([asdict(output) for output in outcome.outputs], name="outputs"),
        "metrics": canonical(dict(outcome.metrics), name="metrics"),
        "extra": canonical(dict(outcome.extra), name="extra") if outcome.extra else None,
        "message": outcome.message[:SHORT],
    }
    kept = {name: value for name, value in values.items() if value not in ("", None)}
    return kept | {"datetime_finished": now, "lease_expires": None}


def read(tx: Tx, query: Select[Any]) -> list[Row]:
    """The rows a query on `ledger_row` finds."""
    return [row_of(record) for record in tx.conn.execute(query).mappings()]


def by_key(tx: Tx, key: str) -> list[Row]:
    """The attempts of a key, newest first."""
    return read(
        tx, select(ledger_row).where(ledger_row.c.key == key).order_by(ledger_row.c.attempt.desc()).limit(HISTORY)
    )


def by_id(tx: Tx, number: int) -> Row:
    """One row; NoSuchRow where there is none."""
    found = read(tx, select(ledger_row).where(ledger_row.c.id == number))
    if not found:
        raise NoSuchRow(f"the ledger has no row {number}; `tidegate ledger list` shows those it has")
    return found[0]


def before(tx: Tx, step: str, *, below: int | None = None) -> list[Row]:
    """The newest rows of a step, optionally only older than the row `below`."""
    query = select(ledger_row).where(ledger_row.c.step == step).order_by(ledger_row.c.id.desc()).limit(NEAR)
    return read(tx, query.where(ledger_row.c.id < below) if below is not None else query)


def matching(tx: Tx, filters: Mapping[str, Any], *, limit: int) -> Sequence[Row]:
    """The newest rows whose columns have these values."""
    query = select(ledger_row).order_by(ledger_row.c.id.desc()).limit(limit)
    return read(tx, query.where(*(is_(ledger_row.c[name], value) for name, value in filters.items())))


def is_(column: ColumnElement[Any], value: object) -> ColumnElement[bool]:
    """The column has this value; one of them, where it is a set."""
    return column.in_(sorted(value)) if isinstance(value, set | frozenset) else column == value
