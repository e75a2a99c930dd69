"""The people's PostgreSQL: connect, bring the schema up to date, and tell faults that pass from faults that stay.

Reads: a connection URL. Writes: schema `people`, by the files in `migrations/`, each once and in its own transaction.
Again: what is applied stays; two that migrate at once wait for each other.
"""

from __future__ import annotations

import logging
import time
from importlib.resources import files
from typing import TYPE_CHECKING, Any, LiteralString, TypeVar, cast

import psycopg
from psycopg import errors

from tidegate.step import AccessDenied, BadSettings, TryAgain

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
log = logging.getLogger(__name__)

_MIGRATING = 7146825580861842282
_CONNECT_SECONDS = 10

PASSING = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.TooManyConnections,
    errors.ConnectionException,
    psycopg.OperationalError,
)
"""Faults after which the same transaction may succeed."""


class DatabaseAway(TryAgain):
    """The people's database cannot be reached, or keeps failing."""


class DatabaseRefused(AccessDenied):
    """The people's database knows no such role, password or database."""


def connect(url: str) -> psycopg.Connection:
    """A connection in autocommit mode, READ COMMITTED; DatabaseAway when the server cannot be reached."""
    try:
        return psycopg.connect(
            url, autocommit=True, connect_timeout=_CONNECT_SECONDS, application_name="people", keepalives_idle=30
        )
    except psycopg.ProgrammingError:
        raise BadSettings("$PEOPLE_DATABASE_URL is not a URL like postgresql://user:password@host/database") from None
    except psycopg.OperationalError as error:
        raise _refused(error) from None


def _refused(error: psycopg.OperationalError) -> Exception:
    """Wrong credentials stay wrong; everything else may pass. libpq's text names host and user, never the password."""
    text = one_line(error)
    stays = ("password authentication failed", "does not exist", "no pg_hba.conf entry", "not permitted to log in")
    if any(words in text for words in stays):
        return DatabaseRefused(f"$PEOPLE_DATABASE_URL: {text}")
    return DatabaseAway(f"the people's database cannot be reached: {text}")


def migrate(connection: psycopg.Connection) -> list[str]:
    """Apply what is not yet applied; the names of the files applied now."""
    if set(_migrations()) <= _applied(connection):
        return []  # looked at first, so that a role without the right to create can use a schema that is up to date
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [_MIGRATING])
        connection.execute("create schema if not exists people")
        connection.execute(
            "create table if not exists people.migration (name text primary key, applied_at timestamptz default now())"
        )
        missing = sorted(set(_migrations()) - _applied(connection))
        for name in missing:
            connection.execute(_sql(name))
            connection.execute("insert into people.migration (name) values (%s)", [name])
    return missing


def _applied(connection: psycopg.Connection) -> set[str]:
    # Compiling thousands of key look-ups costs more than doing them, so that goes off in the same round trip.
    query = "select set_config('jit', 'off', false), array(select name from people.migration)"
    try:
        row = connection.execute(query).fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return set()
    return set(row[1]) if row else set()


def _migrations() -> list[str]:
    return sorted(each.name for each in files("jobs._people.migrations").iterdir() if each.name.endswith(".sql"))


def _sql(name: str) -> LiteralString:
    """A migration's text; it lies in this package, so it is as trustworthy as a literal."""
    text: Any = files("jobs._people.migrations").joinpath(name).read_text(encoding="utf-8")
    return cast("LiteralString", text)


def one_line(error: Exception) -> str:
    """The error's text without its line breaks."""
    return " ".join(str(error).split())


class Database:
    """One connection in autocommit mode (transactions are written out), made anew after a fault that passes."""

    def __init__(self, url: str, *, tries: int = 6) -> None:
        self._url = url
        self._tries = tries
        self._connection: psycopg.Connection | None = None

    def close(self) -> None:
        """Give the connection back; the next `retried` makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def retried(self, work: Callable[[psycopg.Connection], T]) -> T:
        """Do `work`, which must be safe to repeat; DatabaseAway when it keeps failing."""
        for attempt in range(1, self._tries + 1):
            try:
                return work(self._open())
            except PASSING as error:
                log.warning("the people's database failed (%s), try %d", type(error).__name__, attempt)
                self.close()
                if attempt == self._tries:
                    raise DatabaseAway(f"the people's database keeps failing: {one_line(error)}") from error
            time.sleep(min(5.0, 0.1 * 2**attempt))
        raise AssertionError("unreachable")

    def _open(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._url)
            migrate(self._connection)
        return self._connection
