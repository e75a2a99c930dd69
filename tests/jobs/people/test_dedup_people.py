from __future__ import annotations

import re
from random import Random  # noqa: TC003 - hypothesis reads the annotation
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs._people.database import connect, migrate
from jobs.dedup_people.batch import histogram
from tests.jobs.people import batches
from tests.jobs.people.batches import dedup, query, raw_people, write
from tidegate.step import AccessDenied, BadInput, TryAgain

if TYPE_CHECKING:
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


def test_a_forgotten_person_is_nobodys_match(tmp_path: Path, database: str) -> None:
    one = {"record_id": "1", "first_name": "Ann", "last_name": "Lee", "address": "1 Oak Ave\nTroy, NY 12180"}
    dedup(write(tmp_path / "a.jsonl", [one]), database)
    with psycopg.connect(database) as connection:
        connection.execute("select people.forget(id) from people.person")
    assert dedup(write(tmp_path / "b.jsonl", [one | {"record_id": "2"}]), database).metrics["new"] == 1
    batches.check_keys(database)


def test_a_wrong_password_is_final_and_a_missing_server_is_not(tmp_path: Path, database: str) -> None:
    file = write(tmp_path / "a.jsonl", raw_people(count=1))
    with pytest.raises(AccessDenied, match="PEOPLE_DATABASE_URL") as told:
        dedup(file, re.sub(r":[0-9a-f]+@", ":hunter2@", database))
    assert "hunter2" not in str(told.value)
    with pytest.raises(TryAgain):
        dedup(file, "postgresql://people:x@127.0.0.1:9/people")


def test_migrations_run_once(database: str) -> None:
    with connect(database) as connection:
        connection.execute("drop schema people cascade")
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
