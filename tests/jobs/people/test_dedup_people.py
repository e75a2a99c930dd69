from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from itertools import count
from random import Random  # noqa: TC003 - hypothesis reads the annotation
from typing import TYPE_CHECKING

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs._people.database import connect, migrate
from jobs.dedup_people import store
from jobs.dedup_people.batch import histogram
from tests.jobs.people import batches
from tests.jobs.people.batches import dedup, query, raw_people, write
from tidegate.step import AccessDenied, BadInput, BadSettings, TryAgain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.jobs.people.conftest import NewDatabase

    ById = dict[str, tuple[str, str | None]]


def test_a_batch_equals_brute_force(tmp_path: Path, database: str) -> None:
    file = write(tmp_path / "a.jsonl", rows := raw_people())
    result = dedup(file, database, chunk_rows=17)
    found = batches.decisions(database)
    example = batches.settings(file, database)
    assert found == batches.as_sequential({file.as_uri(): rows}, batches.in_commit_order(database), example)
    assert {kind for kind, _ in found.values()} == {"new", "match", "review"}
    assert len(found) == len(rows) == result.metrics["records"]
    batches.check_keys(database)


@pytest.fixture(scope="module")
def plainly(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, str]], ById]:
    """A batch, and what became of it in its own order and one chunk."""
    rows, database = raw_people("s", count=60), new_database()
    dedup(write(tmp_path_factory.mktemp("plain") / "a.jsonl", rows), database)
    return rows, by_id(rows, database)


def by_id(rows: list[dict[str, str]], database: str) -> ById:
    ids = [row["record_id"] for row in rows]
    return {
        ids[at - 1]: (kind, ids[of[1] - 1] if of else None)
        for (_, at), (kind, of) in batches.decisions(database).items()
    }


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.randoms(use_true_random=False), size=st.integers(1, 60))
def test_neither_the_order_of_records_nor_the_chunks_change_the_result(
    tmp_path: Path, new_database: NewDatabase, plainly: tuple[list[dict[str, str]], ById], order: Random, size: int
) -> None:
    rows, wanted = plainly
    shuffled, database = order.sample(rows, len(rows)), new_database()
    dedup(write(tmp_path / "shuffled.jsonl", shuffled), database, chunk_rows=size)
    assert by_id(shuffled, database) == wanted


def test_shards_prepared_by_other_pods_give_the_same_even_when_stale(tmp_path: Path, new_database: NewDatabase) -> None:
    first, rows = raw_people("one"), raw_people("two", earlier="one")
    found = []
    for fan_out in (False, True):
        database = new_database()
        file, values = write(tmp_path / "b.jsonl", rows), {}
        if fan_out:
            for shard in range(3):
                out = batches.Prefix((tmp_path / "prepared" / str(shard)).as_uri())
                done = dedup(file, database, stage="prepare", shard=shard, shards=3, output=out, chunk_rows=11)
                assert done.metrics["rows"] > 0
            values = {"stage": "commit", "prepared": batches.Input((tmp_path / "prepared").as_uri())}
        dedup(write(tmp_path / "a.jsonl", first), database)  # stored after the shards were prepared
        dedup(file, database, **values)
        found.append(batches.decisions(database))
        batches.check_keys(database)
    assert found[0] == found[1]


def test_a_shard_of_another_batch_is_refused(tmp_path: Path, database: str) -> None:
    out = batches.Prefix((tmp_path / "prepared").as_uri())
    dedup(write(tmp_path / "a.jsonl", raw_people("a")), database, stage="prepare", output=out)
    with pytest.raises(BadInput, match="another batch"):
        dedup(write(tmp_path / "b.jsonl", raw_people("b")), database, stage="commit", prepared=batches.Input(out))


def test_the_same_batch_again_changes_nothing_and_tells_the_same(tmp_path: Path, database: str) -> None:
    file = write(tmp_path / "a.jsonl", raw_people())
    first, before = dedup(file, database), batches.decisions(database)
    again = dedup(file, database, match_at=0.6)
    assert batches.decisions(database) == before
    assert {k: v for k, v in first.metrics.items() if k != "seconds"} == {
        k: v for k, v in again.metrics.items() if k != "seconds"
    }
    assert "as committed before" in again.summary
    assert query(database, "select count(*) from people.outbox") == [(1,)]


class Crash(BaseException):
    """The process is gone: nothing catches it."""


class Crashing:
    """Lets the connection die at the n-th statement or transaction's end, before it or after it was carried out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left, self._before = 0, False
        execute, transaction = psycopg.Cursor.execute, psycopg.Connection.transaction
        crashing = self

        def dying_execute(self: psycopg.Cursor, *args: object, **values: object) -> psycopg.Cursor:
            with crashing.point(self.connection):
                return execute(self, *args, **values)

        @contextmanager
        def dying_transaction(self: psycopg.Connection) -> Iterator[None]:
            with crashing.point(self, counts=False), transaction(self):
                yield
            with crashing.point(self):
                pass

        monkeypatch.setattr(psycopg.Cursor, "execute", dying_execute)
        monkeypatch.setattr(psycopg.Connection, "transaction", dying_transaction)

    def at(self, number: int, *, before: bool) -> None:
        self.left, self._before = number, before

    @contextmanager
    def point(self, connection: psycopg.Connection, *, counts: bool = True) -> Iterator[None]:
        self.left -= counts
        if counts and self.left == 0 and self._before:
            self._die(connection)
        yield
        if counts and self.left == 0:
            self._die(connection)

    def _die(self, connection: psycopg.Connection) -> None:
        connection.close()
        raise Crash


def test_a_crash_at_any_statement_loses_and_doubles_nobody(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "a.jsonl", raw_people(count=24))
    monkeypatch.setattr("jobs.dedup_people.publish.draw", lambda *_, **__: b"")
    monkeypatch.setattr("jobs._people.database.time.sleep", lambda _: None)
    dedup(file, database, chunk_rows=12)
    wanted, crashing = batches.decisions(database), Crashing(monkeypatch)
    for at, before in ((at, before) for at in count(1) for before in (True, False)):
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("truncate people.batch, people.person_key, people.outbox cascade")
        crashing.at(at, before=before)
        with suppress(Crash):  # or OperationalError, by the rollback on a dead connection, and a retry at once
            dedup(file, database, chunk_rows=12)
        if crashing.left > 0:
            break
        dedup(file, database, chunk_rows=12)
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


def test_a_forgotten_person_is_nobodys_match(tmp_path: Path, database: str) -> None:
    one = {"record_id": "1", "first_name": "Ann", "last_name": "Lee", "address": "1 Oak Ave\nTroy, NY 12180"}
    dedup(write(tmp_path / "a.jsonl", [one]), database)
    with psycopg.connect(database) as connection:
        connection.execute("select people.forget(id) from people.person")
    assert dedup(write(tmp_path / "b.jsonl", [one | {"record_id": "2"}]), database).metrics["new"] == 1
    batches.check_keys(database)


GOOD = {"record_id": "1", "first_name": "Ann", "last_name": "Lee", "address": "1 Oak Ave\nTroy, NY 12180"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"first_name": None, "last_name": " "}, "both missing"),
        ({"address": "x" * 1_000_000}, "1000000 characters; want at most 1000"),
        ({"last_name": "Le\0e"}, "NUL"),
        ({"last_name": "\ud800"}, "not valid UTF-8"),
    ],
)
def test_a_bad_row_is_rejected_with_its_reason(
    tmp_path: Path, database: str, change: dict[str, object], reason: str
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in (GOOD, GOOD | {"record_id": "2"} | change, "x")) + "\n{\n")
    result = dedup(file, database)
    assert (result.metrics["new"], result.metrics["rejected"]) == (1, 3)
    told = [json.loads(line) for line in (tmp_path / "out-a" / "rejected.jsonl").read_text("ascii").splitlines()]
    assert [each["row"] for each in told] == [2, 3, 4]
    assert reason in told[0]["reason"]


def test_csv_with_bom_quotes_bad_bytes_and_short_rows(tmp_path: Path, database: str) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(
        b'\xef\xbb\xbf"record_id",first_name,last_name,address\r\n'
        b'1,"Ann, ""A""",Lee,"1 Oak Ave\r\nTroy, NY 12180"\r\n2,B\xff,Lee,x\r\n3,Bob\r\n'
        + "4,👩‍👩‍👧,שלום,שדרות רוטשילד 1\r\n".encode()
    )
    assert dedup(file, database).metrics == pytest.approx(
        {
            "records": 2,
            "new": 2,
            "match": 0,
            "review": 0,
            "inserted": 2,
            "rejected": 2,
            "crowded_keys": 0,
            "seconds": 0,
        },
        abs=60,
    )
    assert query(database, "select first_name, last_name from people.person order by source_row") == [
        ("ann a", "lee"), ("", "שלום"),
    ]  # fmt: skip


def test_parquet_with_numbers_bad_bytes_and_other_names(tmp_path: Path, database: str) -> None:
    bad = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\3\0\0\0\5\0\0\0"), pa.py_buffer(b"AnnB\xff")]
    )
    table = pa.table({"given": bad, "family": ["Lee", "Lee"], "zip": [12180, 12180.0], "town": ["Troy", None]})
    pq.write_table(table, tmp_path / "a.parquet")
    columns = {"first_name": "given", "last_name": "family", "postcode": "zip", "city": "town"}
    result = dedup(tmp_path / "a.parquet", database, columns=columns)
    assert (result.metrics["new"], result.metrics["rejected"]) == (1, 1)
    assert query(database, "select first_name, city, zip from people.person") == [("ann", "troy", "12180")]


def test_of_rows_with_one_id_the_same_one_stays_in_any_order(tmp_path: Path, new_database: NewDatabase) -> None:
    rows = [GOOD, GOOD | {"first_name": "Zoe"}, GOOD | {"record_id": "2", "first_name": "Max"}]
    kept = []
    for name, each in (("a", rows), ("b", rows[::-1])):
        database = new_database()
        result = dedup(write(tmp_path / f"{name}.jsonl", each), database)
        assert result.metrics["rejected"] == 1
        kept.append(query(database, "select first_name from people.person order by 1"))
    assert kept[0] == kept[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"first_name,address\n", "lacks the columns last_name; it has first_name, address"),
        (b"first_name,last_name\n", "one of address, street, city, postcode"),
        (b'{"first_name": "a"}\n', "last_name"),
        (b"PAR1 not really", "no readable Parquet"),
    ],
)
def test_an_unreadable_file_is_bad_input_and_stores_nothing(
    tmp_path: Path, database: str, content: bytes, message: str
) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(BadInput, match=message):
        dedup(tmp_path / "a", database)
    assert query(database, "select to_regclass('people.batch')") == [(None,)]


def test_settings_that_contradict_each_other_are_all_told(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as told:
        batches.settings(tmp_path / "a", "x", review_at=0.9, match_at=0.8, shard=3)
    assert len(told.value.faults) == 2


def test_a_wrong_password_is_final_and_a_missing_server_is_not(tmp_path: Path, database: str) -> None:
    file = write(tmp_path / "a.jsonl", [GOOD])
    with pytest.raises(AccessDenied, match="PEOPLE_DATABASE_URL") as told:
        dedup(file, database.replace("loopback-only", "hunter2"))
    assert "hunter2" not in str(told.value)
    with pytest.raises(TryAgain):
        dedup(file, "postgresql://people:x@127.0.0.1:9/people")


def test_migrations_run_once(database: str) -> None:
    with connect(database) as connection:
        assert migrate(connection) == ["0001_people.sql"]
        assert migrate(connection) == []


def test_the_histogram_is_a_picture_of_all_records(tmp_path: Path, database: str) -> None:
    dedup(write(tmp_path / "a.jsonl", raw_people()), database)
    picture = (tmp_path / "out-a" / "histogram.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 5000
    with psycopg.connect(database, autocommit=True) as connection:
        (batch,) = connection.execute("select batch_id from people.batch").fetchone()
        assert sum(map(sum, histogram(connection, batch).values())) == 120
