"""The batch as a whole: begun once, finished once, and what is told of it.

Reads: `people.match_result` of the batch.
Writes: `people.batch` and, in the transaction that finishes it, the row of the success mail in `people.outbox`.
Again: the same content is the same batch: a finished one tells its stored counts and writes nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from jobs.dedup_people.clean import NORM_VERSION

if TYPE_CHECKING:
    import psycopg

    from jobs.dedup_people.model import Model

    Connection = psycopg.Connection
    Counts = dict[str, int]

BINS = 40
"""Bars of the histogram of scores."""
_SHOWN = 20


def batch_id(content: bytes) -> UUID:
    """The batch's id: made of its content's sha256, so that it needs no table to be known."""
    return UUID(bytes=content[:16], version=5)


def begin(connection: Connection, content: bytes, *, source: str, model: Model) -> Counts | None:
    """Take the batch up; the counts where it is finished already."""
    with connection.transaction():
        connection.execute(
            "insert into people.batch (batch_id, content_sha256, norm_version, model_version, source) "
            "values (%s, %s, %s, %s, %s) on conflict do nothing",
            [batch_id(content), content, NORM_VERSION, model.version, source],
        )
        row = connection.execute(
            "select status, counts from people.batch where batch_id = %s", [batch_id(content)]
        ).fetchone()
    return row[1] if row and row[0] == "done" else None


def finish(connection: Connection, batch: UUID, *, rejected: int, crowded: int, domain: str) -> Counts:
    """Count, mark as done, and put the success mail into the outbox, in one transaction."""
    with connection.transaction():
        counts = count(connection, batch) | {"rejected": rejected, "crowded_keys": crowded}
        updated = connection.execute(
            "update people.batch set status = 'done', counts = %s, committed_at = now() "
            "where batch_id = %s and status = 'running' returning 1",
            [json.dumps(counts), batch],
        ).fetchone()
        if updated:
            payload = {"counts": counts} | told(connection, batch)
            connection.execute(
                "insert into people.outbox (batch_id, kind, message_id, payload) values (%s, 'success', %s, %s) "
                "on conflict (batch_id, kind) do nothing",
                [batch, f"<{batch}.success@{domain}>", json.dumps(payload)],
            )
    return counts


def count(connection: Connection, batch: UUID) -> Counts:
    """Records by decision: `new`, `match`, `review`, and `inserted`."""
    query = """select decision, count(*), count(p.id) from people.match_result r left join people.person p
        on p.source_batch = r.batch_id and p.source_row = r.row_no where r.batch_id = %s group by decision"""
    found = {decision: (rows, inserted) for decision, rows, inserted in connection.execute(query, [batch])}
    counts = {decision: found.get(decision, (0, 0))[0] for decision in ("new", "match", "review")}
    return counts | {"inserted": sum(inserted for _, inserted in found.values())}


def told(connection: Connection, batch: UUID) -> dict[str, Any]:
    """What the mail shows: the best and worst scores among the matches, and what waits for a person."""
    return {
        "best": _rows(connection, batch, "match", best=True),
        "worst": _rows(connection, batch, "match", best=False),
        "review": _rows(connection, batch, "review", best=True),
    }


def _rows(connection: Connection, batch: UUID, decision: str, *, best: bool) -> list[dict[str, Any]]:
    query = """select r.row_no, r.record_id, r.score, r.fields, r.reason, coalesce(r.person_id, v.candidate_id),
            p.first_name || ' ' || p.last_name
        from people.match_result r
        left join lateral (select candidate_id from people.review v
            where (v.batch_id, v.row_no) = (r.batch_id, r.row_no) order by score desc, candidate_id limit 1) v on true
        left join people.person p on p.id = coalesce(r.person_id, v.candidate_id)
        where r.batch_id = %(batch)s and r.decision = %(decision)s
        order by case when %(best)s then -r.score else r.score end, r.row_no limit %(limit)s"""
    values = {"batch": batch, "decision": decision, "best": best, "limit": _SHOWN}
    names = ("row", "record_id", "score", "fields", "reason", "person_id", "person")
    found = connection.execute(query, values).fetchall()
    return [dict(zip(names, row, strict=True)) | {"score": round(row[2], 4)} for row in found]


def histogram(connection: Connection, batch: UUID) -> dict[str, list[int]]:
    """Records by decision and score, in `BINS` bins over [0, 1]."""
    query = """select decision, least(floor(score * %s), %s)::int, count(*) from people.match_result
        where batch_id = %s group by 1, 2"""
    bars = {decision: [0] * BINS for decision in ("new", "review", "match")}
    for decision, at, rows in connection.execute(query, [BINS, BINS - 1, batch]):
        bars[decision][at] = rows
    return bars
