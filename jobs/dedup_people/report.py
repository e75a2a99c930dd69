"""What a run leaves for people: a histogram, a report, the decisions and the rejected rows.

Reads: the finished batch. Writes: `histogram.png`, `report.json`, `results.jsonl`, `rejected.jsonl` under the output.
Again: the same bytes, as all of it comes from the stored batch.
"""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING

from jobs.dedup_people.batch import BINS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

    import psycopg

    from jobs.dedup_people.read import Rejected

_COLOURS = {"new": "#4c78a8", "review": "#f2a541", "match": "#54a24b"}
_PAGE = 2000


def draw(bars: Mapping[str, list[int]], *, title: str) -> bytes:
    """The histogram of scores as PNG, stacked by decision, with a logarithmic count."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second that the prepare stage need not pay

    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    left, floor = [i / BINS for i in range(BINS)], [0] * BINS
    for decision, counts in bars.items():
        label = f"{decision} ({sum(counts):,})"
        axes.bar(left, counts, 1 / BINS, floor, align="edge", color=_COLOURS[decision], label=label)
        floor = [below + count for below, count in zip(floor, counts, strict=True)]
    axes.set(xlabel="score of the best candidate (0: none)", ylabel="records", title=title, xlim=(0, 1))
    axes.set_yscale("symlog", linthresh=1)
    axes.legend(loc="upper center")
    out = BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


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
