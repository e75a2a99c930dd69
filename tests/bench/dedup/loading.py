"""The stored people: made, cleaned, and in PostgreSQL as if earlier batches had inserted them. Not timed.

Reads: a generator of people. Writes: `stored` (Parquet, for the peers), `person.copy` and `key.copy`, then the tables.
Again: the same rows.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from jobs._people.database import connect, migrate
from jobs.dedup_people.clean import NORM_VERSION, Person
from jobs.dedup_people.keys import keys
from jobs.dedup_people.store import fingerprint
from tests.bench.dedup.data import Record, cleaned

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import psycopg

BATCH = "00000000-0000-0000-0000-000000000000"
_SCHEMA = pa.schema([(name, pa.string()) for name in Person._fields])
_GROUP = 50_000
_COLUMNS = """id, first_name, last_name, house, street, unit, city, state, zip, raw, keys, fingerprint, norm_version,
source_batch, source_row"""


def write(folder: Path, records: Iterable[Record]) -> Iterator[Record]:
    """Write the three files; the records pass through."""
    group: list[Person] = []
    with (
        pq.ParquetWriter(folder / "stored", _SCHEMA) as table,
        (folder / "person.copy").open("w") as people,
        (folder / "key.copy").open("w") as index,
    ):
        for number, record in enumerate(records, start=1):
            person = cleaned(record)
            found = keys(person)
            mark = fingerprint(person).hex()
            cells = (
                number,
                *person,
                "{}",
                f"{{{','.join(map(str, found))}}}",
                f"\\\\x{mark}",
                NORM_VERSION,
                BATCH,
                number,
            )
            people.write("\t".join(map(str, cells)) + "\n")
            index.writelines(f"{key}\t{number}\n" for key in found)
            group.append(person)
            if len(group) == _GROUP:
                table.write_table(_table(group))
                group.clear()
            yield record
        table.write_table(_table(group))


def _table(group: list[Person]) -> pa.Table:
    return pa.Table.from_pylist([person._asdict() for person in group], schema=_SCHEMA)


def load(database: str, folder: Path) -> None:
    """Fill the database."""
    with connect(database) as connection:
        migrate(connection)
        connection.execute("insert into people.batch values (%s, '', 1, 'load', 'load', 'done', '{}')", [BATCH])
        connection.execute("alter table people.person_key drop constraint person_key_pkey")
        _copy(connection, f"people.person ({_COLUMNS})", folder / "person.copy")
        _copy(connection, "people.person_key", folder / "key.copy")
        connection.execute("set maintenance_work_mem = '512MB'")
        connection.execute("alter table people.person_key add primary key (key, person_id)")
        connection.execute("select setval('people.person_id_seq', (select max(id) from people.person))")
        connection.execute("vacuum analyze")


def clear(database: str) -> None:
    """Take out what a batch stored, so that the next finds what this one found."""
    with connect(database) as connection:
        mine = "(select batch_id from people.batch where source <> 'load')"
        connection.execute(f"delete from people.person where source_batch in {mine}")
        connection.execute("truncate people.review, people.match_result, people.outbox")
        connection.execute("delete from people.batch where source <> 'load'")


def pull(database: str) -> float:
    """Seconds it takes to read all stored people out of the database, as a method in memory must before it begins."""
    columns = "id, first_name, last_name, house, street, unit, city, state, zip"
    start = time.perf_counter()
    query = f"copy (select {columns} from people.person) to stdout"
    with connect(database) as connection, connection.cursor() as cursor, cursor.copy(query) as copy:
        for _ in copy:
            pass
    return time.perf_counter() - start


def _copy(connection: psycopg.Connection, into: str, path: Path) -> None:
    with connection.cursor() as cursor, cursor.copy(f"copy {into} from stdin") as copy, path.open("rb") as file:
        while piece := file.read(1 << 20):
            copy.write(piece)
