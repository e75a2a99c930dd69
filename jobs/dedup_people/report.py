"""What a run leaves for people: the decisions and the rejected rows, line by line.

Reads: the finished batch. Writes: lines of `results.jsonl` and `rejected.jsonl`.
Again: the same bytes, as all of it comes from the stored batch.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    import psycopg

    from jobs.dedup_people.read import Rejected

_PAGE = 2000


def results(connection: psycopg.Connection, batch: UUID) -> Iterator[bytes]:
    """One line of JSON for each record, in the file's order."""
    query = """select json_build_object('row', row_no, 'record_id', record_id, 'decision', decision,
            'person_id', person_id, 'score', score, 'fields', fields, 'reason', reason)::text
        from people.match_result where batch_id = %s order by row_no"""
    with connection.transaction(), connection.cursor(name="results") as cursor:
        cursor.itersize = _PAGE
        for (line,) in cursor.execute(query, [batch]):
            yield f"{line}\n".encode()


def rejected(rows: Iterator[Rejected]) -> Iterator[bytes]:
    """One line of JSON for each rejected row."""
    for row in rows:
        yield (json.dumps({"row": row.number, "reason": row.reason, "record": row.raw}) + "\n").encode()


class Stream:
    """An iterator of bytes as the stream a store reads."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes."""
        while len(self._rest) < size and (piece := next(self._pieces, b"")):
            self._rest += piece
        found, self._rest = self._rest[:size], self._rest[size:]
        return found
