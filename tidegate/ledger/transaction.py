"""One transaction, as both sides run it, and what its errors mean.

An operation is a plain function of a `Tx`. The sync side calls it with a connection, the async side through
`AsyncConnection.run_sync`: one core, two ways to wait.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from sqlalchemy import exc, text

from tidegate.ledger.errors import NotMigrated, Unreachable

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")

TRIES = 12
"""How often a transaction that lost a race is run again before that counts as an outage."""

PATIENCE = 10.0
"""Seconds after which it is not run again: races that wait for locks are no quick ones."""

PAUSE = 0.05
"""Seconds before the next try, times its number."""

CLOCKS = {
    "postgresql": "SELECT clock_timestamp() AT TIME ZONE 'UTC'",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "mariadb": "SELECT UTC_TIMESTAMP(6)",
}

RACES = ("40001", "40P01", "1213", "1020")
"""Serialisation failure and deadlock, by SQLSTATE or MySQL's number; SQLite waits for its one lock by itself."""

MISSING = ("42P01", "3F000", "42703", "1146", "1054", "no such table", "no such column")
"""A table, schema or column is not there."""

OUTAGES = (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.ProgrammingError, exc.TimeoutError, OSError)


def database_time(conn: Connection) -> datetime:
    """The database's own clock: leases must not depend on whose machine is fast."""
    sql = CLOCKS.get(conn.dialect.name)
    if sql is None:
        return datetime.now(UTC)
    now: datetime = conn.execute(text(sql)).scalar_one()
    return now.replace(tzinfo=UTC)


Clock: TypeAlias = Callable[["Connection"], datetime]


@dataclass(frozen=True)
class Tx:
    """An open transaction."""

    conn: Connection
    clock: Clock = database_time

    @cached_property
    def now(self) -> datetime:
        """One moment for all that the transaction writes."""
        return self.clock(self.conn)


Operation: TypeAlias = Callable[[Tx], T]
"""What is done inside one transaction."""


def lost_race(error: Exception) -> bool:
    """Another transaction was first: begin anew, and see what it did."""
    return isinstance(error, exc.IntegrityError) or _says(error, RACES)


@dataclass
class Tries:
    """How often, and until when, one transaction has been tried."""

    started: float = field(default_factory=time.monotonic)
    number: int = 0

    def pause(self, error: Exception) -> float:
        """Seconds to wait before the next try, spread at random; raises where there is no point in one."""
        self.number += 1
        late = time.monotonic() - self.started > PATIENCE
        if late or self.number >= TRIES or not lost_race(error):
            raise translated(error) from error
        return PAUSE * self.number * random.random()  # noqa: S311 - guards nothing


def translated(error: Exception) -> Exception:
    """The ledger's own error for the database's; whatever is no outage stays what it is."""
    if _says(error, MISSING):
        return NotMigrated("the ledger's tables are missing or of another version; run `tidegate ledger migrate`")
    if isinstance(error, OUTAGES) or lost_race(error):
        return Unreachable(f"the ledger's database cannot be used: {_cause(error)}")
    return error


def _says(error: Exception, codes: tuple[str, ...]) -> bool:
    origin = getattr(error, "orig", None)
    if origin is None:
        return False
    said = {str(getattr(origin, "sqlstate", None)), *(str(part) for part in origin.args[:1])}
    return any(code in said or (" " in code and any(code in words for words in said)) for code in codes)


def _cause(error: Exception) -> str:
    """The driver's words in one line; SQLAlchemy's own would repeat the statement and its parameters."""
    origin = getattr(error, "orig", None) or error
    return " ".join(f"{type(origin).__name__}: {origin}".split())[:300]
