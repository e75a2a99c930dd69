"""The batch as a whole: begun once, finished once, and what is told of it.

Reads: `people.match_result` of the batch.
Writes: `people.batch` and, in the transaction that finishes it, the row of the success mail in `people.outbox`.
Again: the same content is the same batch: a finished one tells its stored counts and writes nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple
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


class Begun(NamedTuple):
    """What was known of a batch when it was taken up."""

    known: bool
    """Somebody began it before."""
    counts: Counts | None
    """Of a finished one."""


def begin(connection: Connection, content: bytes, *, source: str, model: Model) -> Begun:
    """Take the batch up."""
    row = connection.execute(
        "with mine as (insert into people.batch (batch_id, content_sha256, norm_version, model_version, source) "
        "values (%(id)s, %(content)s, %(norm)s, %(model)s, %(source)s) on conflict do nothing) "
        "select status, counts from people.batch where batch_id = %(id)s",
        {"id": batch_id(content), "content": content, "norm": NORM_VERSION, "model": model.version, "source": source},
    ).fetchone()
    return Begun(row is not None, row[1] if row and row[0] == "done" else None)


def finish(connection: Connection, batch: UUID, *, rejected: int, crowded: int, domain: str) -> Counts:
    """Count, mark as done, and put the success mail into the outbox, in one transaction."""
    with connection.pipeline(), connection.transaction():
        counted = connection.execute(_COUNT, [batch])
        shown = told(connection, batch)
        counts = _counts(counted) | {"rejected": rejected, "crowded_keys": crowded}
        connection.execute(
            "with done as (update people.batch set status = 'done', counts = %(counts)s, committed_at = now() "
            "where batch_id = %(id)s and status = 'running' returning batch_id) "
            "insert into people.outbox (batch_id, kind, message_id, payload) "
            "select batch_id, 'success', %(known_as)s, %(payload)s from done on conflict (batch_id, kind) do nothing",
            {"id": batch, "counts": json.dumps(counts), "known_as": f"<{batch}.success@{domain}>",
             "payload": json.dumps({"counts": counts} | shown)},
        )  # fmt: skip
    return counts


# A record that matched names whom; one that did not names whom it became, unless it is held. Without a join: the
# planner, which knows nothing yet of the rows of this batch, would read all people.
_COUNT = """select decision, count(*), count(person_id) filter (where decision <> 'match') from people.match_result
    where batch_id = %s group by decision"""


def _counts(cursor: psycopg.Cursor) -> Counts:
    """Records by decision: `new`, `match`, `review`, and `inserted`."""
    found = {decision: (rows, inserted) for decision, rows, inserted in cursor}
    counts = {decision: found.get(decision, (0, 0))[0] for decision in ("new", "match", "review")}
    return counts | {"inserted": sum(inserted for _, inserted in found.values())}


def told(connection: Connection, batch: UUID) -> dict[str, Any]:
    """What the mail shows: the best and worst scores among the matches, and what waits for a person."""
    wanted = {"best": ("match", True), "worst": ("match", False), "review": ("review", True)}
    with connection.pipeline():
        cursors = {name: connection.execute(_SHOW, _shown(batch, *which)) for name, which in wanted.items()}
        return {name: [_row(row) for row in cursor] for name, cursor in cursors.items()}


_SHOW = """select r.row_no, r.record_id, r.score, r.fields, r.reason, coalesce(r.person_id, v.candidate_id),
        p.first_name || ' ' || p.last_name
    from people.match_result r
    left join lateral (select candidate_id from people.review v
        where (v.batch_id, v.row_no) = (r.batch_id, r.row_no) order by score desc, candidate_id limit 1) v on true
    left join people.person p on p.id = coalesce(r.person_id, v.candidate_id)
    where r.batch_id = %(batch)s and r.decision = %(decision)s
    order by case when %(best)s then -r.score else r.score end, r.row_no limit %(limit)s"""


def _shown(batch: UUID, decision: str, best: bool) -> dict[str, Any]:
    return {"batch": batch, "decision": decision, "best": best, "limit": _SHOWN}


def _row(row: tuple[Any, ...]) -> dict[str, Any]:
    names = ("row", "record_id", "score", "fields", "reason", "person_id", "person")
    return dict(zip(names, row, strict=True)) | {"score": round(row[2], 4)}


def histogram(connection: Connection, batch: UUID) -> dict[str, list[int]]:
    """Records by decision and score, in `BINS` bins over [0, 1]."""
    query = """select decision, least(floor(score * %s), %s)::int, count(*) from people.match_result
        where batch_id = %s group by 1, 2"""
    bars = {decision: [0] * BINS for decision in ("new", "review", "match")}
    for decision, at, rows in connection.execute(query, [BINS, BINS - 1, batch]):
        bars[decision][at] = rows
    return bars
