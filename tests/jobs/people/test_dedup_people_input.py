"""What people send: broken files, broken rows, odd texts. Each gets a clear error or a rejected row with its reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.jobs.people import batches
from tests.jobs.people.batches import dedup, query, write
from tidegate.step import BadInput, BadSettings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.people.conftest import NewDatabase

    ById = dict[str, tuple[str, str | None]]


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
    assert query(database, "select count(*) from people.batch") == [(0,)]


def test_settings_that_contradict_each_other_are_all_told(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as told:
        batches.settings(tmp_path / "a", "x", review_at=0.9, match_at=0.8, shard=3)
    assert len(told.value.faults) == 2
