"""A batch in an order that does not depend on the order of its file, without holding it in memory.

Reads: the rows of a batch file.
Writes: a SQLite database of its own in the temporary folder, gone when closed.
Again: the same records come out in the same order, wherever they stood in the file.

The order is by a hash of the raw record, so that a shard (a range of hashes) can be cleaned, keyed and scored by
another pod without cleaning the rest.
"""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Self

import xxhash

from jobs.dedup_people.read import Rejected, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TABLE = """
create table row (mark blob, number integer primary key, record_id text, raw text);
create table rejected (number integer primary key, reason text, raw text);
"""
# Of rows with one id the first by mark stays, which is the same one in any order of the file.
_REPEATED = """
insert into rejected select number, 'record_id ' || record_id || ' stands in the file more than once', raw from (
    select number, record_id, raw, row_number() over (partition by record_id order by mark, number) as nth
    from row where record_id is not null
) where nth > 1
"""
_sorted = json.JSONEncoder(sort_keys=True).encode


class Spool:
    """Rows of one batch, sorted."""

    def __init__(self, rows: Iterable[Row | Rejected]) -> None:
        self._base = sqlite3.connect("")  # a temporary file, in memory while it is small
        self._base.executescript(_TABLE)
        kept = self._keep_rejected(rows)
        self._base.executemany("insert into row values (?, ?, ?, ?)", map(_stored, kept))
        self._base.execute(_REPEATED)
        self._base.execute("delete from row where number in (select number from rejected)")
        self._base.execute("create index sorted on row (mark, number)")

    def __enter__(self) -> Self:
        """For `with Spool(rows) as spool`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close, which removes it."""
        self._base.close()

    def __len__(self) -> int:
        """Rows that can be used."""
        return int(self._base.execute("select count(*) from row").fetchone()[0])

    def rows(self, *, shard: int = 0, shards: int = 1) -> Iterator[Row]:
        """Rows of one shard, in order; the shards one after the other are all rows in order."""
        low, high = (_bound(shard, shards), _bound(shard + 1, shards))
        query = "select number, raw from row where mark >= ? and mark < ? order by mark, number"
        for number, raw in self._base.execute(query, (low, high)):
            yield Row(number, json.loads(raw))

    def rejected(self) -> Iterator[Rejected]:
        """Rows that cannot be used, by number."""
        for number, reason, raw in self._base.execute("select number, reason, raw from rejected order by number"):
            yield Rejected(number, reason, json.loads(raw))

    def _keep_rejected(self, rows: Iterable[Row | Rejected]) -> Iterator[Row]:
        """Note the rejected, let the others pass."""
        for row in rows:
            if isinstance(row, Rejected):
                self._base.execute("insert into rejected values (?, ?, ?)", (row.number, row.reason, _sorted(row.raw)))
            else:
                yield row


def _stored(row: Row) -> tuple[bytes, int, str | None, str]:
    raw = _sorted(row.raw)
    return xxhash.xxh3_128_digest(raw.encode()), row.number, row.raw.get("record_id"), raw


def _bound(shard: int, shards: int) -> bytes:
    """The first mark of a shard."""
    first = (shard << 128) // shards
    return first.to_bytes(17, "big")[1:] if first < 1 << 128 else b"\xff" * 17
