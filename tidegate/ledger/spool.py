"""Rows that could not be written because the ledger was down: kept as files, written later.

Writes: one JSON file an entry in the spool's folder, by a temporary name and a rename. Again: writing an entry twice
makes one row, so a kill between writing and forgetting is harmless. An attempt that was taken over meanwhile stays
refused: the folder is no way around fencing.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, update

from tidegate.ledger import rows
from tidegate.ledger.attempts import close, record_use, same_end
from tidegate.ledger.model import (
    DUPLICATE,
    REPLACED,
    Blind,
    Claim,
    Key,
    Outcome,
    Output,
    Proof,
    Reason,
    Request,
    State,
    Task,
)
from tidegate.ledger.tables import ledger_row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tidegate.ledger.model import Row
    from tidegate.ledger.transaction import Operation, Tx


@dataclass
class Flushed:
    """What became of a spool's entries."""

    written: int = 0
    refused: list[str] = field(default_factory=list)
    """Attempts that another one had replaced."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The end of one attempt: of the row `fence`, or, where the ledger was down at its start, of none yet."""

    outcome: Outcome
    at: datetime | None = None
    """When it ended, for one that is written late; else now, by the database's clock."""
    fence: int | None = None
    blind: Blind | None = None
    path: Path | None = None

    def operation(self) -> Operation[Row]:
        """What writes it."""
        if self.blind is not None:
            return _record(self.blind, self.outcome, self.at)
        return close(self.fence or 0, self.outcome, at=self.at)

    def forget(self) -> None:
        """It is written."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def set_aside(self) -> None:
        """It will never be written: keep the file for people, under a name that is not read again."""
        if self.path is not None and self.path.exists():
            self.path.replace(self.path.with_suffix(".refused"))

    def to_json(self) -> str:
        """What the file holds; a step's own `verify` is code and stays away."""
        blind = None
        if self.blind is not None:
            request = replace(self.blind.request, verify=None)
            blind = {"request": asdict(request), "started": self.blind.started, "cause": self.blind.cause}
        body = {"outcome": asdict(self.outcome), "at": self.at, "fence": self.fence, "blind": blind}
        return json.dumps(body, default=_plain)


def entry_of(ticket: Claim | Blind, outcome: Outcome) -> Entry:
    """The entry for an attempt that has just ended."""
    if isinstance(ticket, Blind):
        return Entry(outcome=outcome, blind=ticket)
    return Entry(outcome=outcome, fence=ticket.fence)


@dataclass(frozen=True)
class Spool:
    """A folder of entries; processes may share it."""

    folder: Path

    def put(self, entry: Entry) -> Path:
        """Keep an entry, with the time by this machine's clock; whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        entry = replace(entry, at=entry.at or datetime.now(UTC))
        path = self.folder / f"{entry.at:%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex}.json"
        partial = path.with_suffix(".partial")
        partial.write_text(entry.to_json())
        partial.replace(path)
        return path

    def entries(self) -> list[Entry]:
        """All entries, oldest first."""
        return [_read(path) for path in sorted(self.folder.glob("*.json"))]


def _record(blind: Blind, outcome: Outcome, at: datetime | None) -> Operation[Row]:
    """A whole row for an attempt that the ledger has not seen begin; or the end of one whose answer was lost."""

    def operation(tx: Tx) -> Row:
        request = blind.request
        found = rows.by_key(tx, request.key.digest)
        own = next((row for row in found if row.holder == request.task.holder), None)
        if own is not None and own.exit_reason == DUPLICATE:
            return own
        if own is not None and _is_it(own, outcome):
            return close(own.id, outcome, at=at)(tx)
        attempt = found[0].attempt + 1 if found else 1
        values = rows.new_row(
            request, attempt=attempt, now=blind.started, reason=Reason.LEDGER_DOWN, detail=blind.cause
        )
        result = tx.conn.execute(insert(ledger_row).values(values | rows.outcome_values(outcome, now=at or tx.now)))
        row = rows.by_id(tx, int((result.inserted_primary_key or (0,))[0]))
        record_use(tx, request, row, "run")
        _mark_doubles(tx, row, found)
        return rows.by_id(tx, row.id)

    return operation


def _mark_doubles(tx: Tx, row: Row, found: Sequence[Row]) -> None:
    """Let one result count of those that nobody could know of each other: the last to end, whose objects are there."""
    results = [one for one in (row, *found) if one.state is State.SUCCEEDED and (one is row or _unaware(one, row))]
    counts = max(results, key=lambda one: (one.datetime_finished or one.datetime_started, one.id), default=row)
    for double in results:
        if double is not counts:
            message = f"row {counts.id} is the same work, done while the ledger was away; that one counts"
            values = {"state": State.INVALIDATED, "exit_reason": DUPLICATE, "message": message}
            tx.conn.execute(update(ledger_row).where(ledger_row.c.id == double.id).values(**values))


def _unaware(one: Row, other: Row) -> bool:
    """Whether neither could see the other's result: it ran blind too, or at the same time."""
    ends = [row.datetime_finished or row.datetime_started for row in (one, other)]
    return one.reason == Reason.LEDGER_DOWN or (one.datetime_started < ends[1] and other.datetime_started < ends[0])


def _is_it(own: Row, outcome: Outcome) -> bool:
    """This try's row is the one to close: it began after all, or was written already, or is another's by now."""
    values = rows.outcome_values(outcome, now=own.datetime_started)
    return own.state is State.RUNNING or own.exit_reason in REPLACED or same_end(own, values)


def _plain(value: object) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} in a spooled row")


def _read(path: Path) -> Entry:
    body = json.loads(path.read_text())
    at = datetime.fromisoformat(body["at"])
    blind = _blind(body["blind"]) if body["blind"] else None
    return Entry(outcome=_outcome(body["outcome"]), at=at, fence=body["fence"], blind=blind, path=path)


def _outcome(body: dict[str, Any]) -> Outcome:
    outputs = tuple(Output(**output) for output in body["outputs"])
    return Outcome(**body | {"state": State(body["state"]), "outputs": outputs})


def _blind(body: dict[str, Any]) -> Blind:
    asked = body["request"]
    parsed: dict[str, Any] = {
        "task": Task(**asked["task"]),
        "key": Key(**asked["key"]),
        "ttl": timedelta(seconds=asked["ttl"]) if asked["ttl"] is not None else None,
        "lease": timedelta(seconds=asked["lease"]),
        "proof": Proof(asked.get("proof", Proof.VERSION)),
    }
    return Blind(
        request=Request(**asked | parsed), started=datetime.fromisoformat(body["started"]), cause=body["cause"]
    )
