"""A connection that dies anywhere, and faults that pass: nobody is lost and nobody is stored twice."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING

import psycopg
import pytest

from jobs.dedup_people import store
from tests.jobs.people import batches
from tests.jobs.people.batches import dedup, query, raw_people, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.jobs.people.conftest import NewDatabase


class Crash(BaseException):
    """The process is gone: nothing catches it."""


class Crashing:
    """Lets the connection die right after the n-th statement or transaction's end.

    Dying before one is dying after the one before: the server has seen the same.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        execute, transaction = psycopg.Cursor.execute, psycopg.Connection.transaction
        crashing = self

        def dying_execute(self: psycopg.Cursor, *args: object, **values: object) -> psycopg.Cursor:
            done = execute(self, *args, **values)
            crashing.point(self.connection)
            return done

        @contextmanager
        def dying_transaction(self: psycopg.Connection) -> Iterator[None]:
            with transaction(self):
                yield
            crashing.point(self)

        monkeypatch.setattr(psycopg.Cursor, "execute", dying_execute)
        monkeypatch.setattr(psycopg.Connection, "transaction", dying_transaction)

    def point(self, connection: psycopg.Connection) -> None:
        self.left -= 1
        if self.left == 0:
            connection.close()
            raise Crash


def test_a_crash_at_any_statement_loses_and_doubles_nobody(
    tmp_path: Path, new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, database = write(tmp_path / "a.jsonl", raw_people(count=16)), new_database()
    monkeypatch.setattr("jobs.dedup_people.publish.draw", lambda *_, **__: b"")
    monkeypatch.setattr("jobs._people.database.time.sleep", lambda _: None)
    dedup(file, database, chunk_rows=8)
    wanted, crashing = batches.decisions(database), Crashing(monkeypatch)
    for at in count(1):
        new_database()
        crashing.left = at
        with suppress(Crash):  # or OperationalError, by the rollback on a dead connection, and a retry at once
            dedup(file, database, chunk_rows=8)
        if crashing.left > 0:
            break
        dedup(file, database, chunk_rows=8)
        assert batches.decisions(database) == wanted
        assert query(database, "select count(*), count(distinct message_id) from people.outbox") == [(1, 1)]
    assert at > 15


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "57P01"])
def test_a_passing_fault_is_tried_again(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, sqlstate: str
) -> None:
    real, faults = store.decide, [psycopg.errors.lookup(sqlstate)("made up")] * 2
    monkeypatch.setattr(store, "decide", lambda *args: real(*args) if not faults else _raise(faults.pop()))
    assert dedup(write(tmp_path / "a.jsonl", raw_people(count=20)), database).metrics["records"] == 20


def _raise(error: Exception) -> None:
    raise error
