"""One chunk into the table: lock, look again, decide, write. One transaction.

Reads: what was stored since the chunk's look-up, and which of its rows are done already.
Writes: `person`, `person_key`, `match_result`, `review`, all or nothing.
Again: rows with a result are left out, so a retry, a lost answer to COMMIT, another cut into chunks, or the same batch
twice at once change nothing.

The lock comes before the first read: READ COMMITTED then sees all that was committed before, and person ids rise in
commit order, which is what lets `lookup` continue where it stopped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import xxhash

from jobs.dedup_people.clean import NORM_VERSION, Person
from jobs.dedup_people.decide import decide
from jobs.dedup_people.lookup import fetch, known_ids, look_up, nothing
from jobs.dedup_people.model import probability
from jobs.dedup_people.similarity import likeness

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    import psycopg

    from jobs.dedup_people.decide import Decision, Record, Rules
    from jobs.dedup_people.lookup import Lookup
    from jobs.dedup_people.model import Model

    Connection = psycopg.Connection

# Under the lock from its first statement on: what has been done, who came since, who went.
_STATE = """
select array(select row_no from people.match_result where batch_id = %(batch)s and row_no = any(%(rows)s::bigint[])),
    (select coalesce(max(id), 0) from people.person),
    (select count(*) from people.person where id = any(%(known)s::bigint[])) = cardinality(%(known)s::bigint[])
"""
_PERSON = """
with stored as (
    insert into people.person (id, first_name, last_name, house, street, unit, city, state, zip, raw, keys, fingerprint,
        norm_version, source_batch, source_row)
    select p.id, p.f[1], p.f[2], p.f[3], p.f[4], p.f[5], p.f[6], p.f[7], p.f[8], p.raw, p.keys,
        decode(p.mark, 'hex'), %(norm)s, %(batch)s, p.row
    from jsonb_to_recordset(%(people)s::jsonb)
        as p (id bigint, f text[], raw jsonb, keys bigint[], mark text, row bigint)
    returning id, keys
)
insert into people.person_key (key, person_id) select key, id from stored, unnest(keys) as key order by key
"""
_RESULT = """
with c as materialized (select nextval('people.commit_no') as no)
insert into people.match_result (batch_id, row_no, record_id, decision, person_id, score, fields, reason, raw,
    commit_no, position)
select %(batch)s, r.row, r.record, r.decision, r.person, r.score, r.fields, r.reason, r.raw, c.no, r.at
from c, jsonb_to_recordset(%(results)s::jsonb) as r (row bigint,
    record text, decision text, person bigint, score real, fields jsonb, reason text, raw jsonb, at int)
"""
_REVIEW = """
insert into people.review (batch_id, row_no, candidate_id, score)
select %(batch)s, r.row, r.candidate, r.score
from jsonb_to_recordset(%(reviews)s::jsonb) as r (row bigint, candidate bigint, score real)
"""


@dataclass(frozen=True)
class Committed:
    """What one transaction did."""

    rows: int
    crowded: int
    """Keys that more than `cap` people may have: candidates beyond were not looked at."""


def fingerprint(person: Person) -> bytes:
    """16 bytes that equal people, field by field, have in common."""
    return xxhash.xxh3_128_digest("\x1f".join(person).encode("utf-8", "surrogatepass"))


def commit(connection: Connection, batch: UUID, records: Sequence[Record], found: Lookup, *, model: Model,
           rules: Rules) -> Committed:  # fmt: skip
    """Decide on the records and write what follows, in one transaction under the lock."""
    with connection.pipeline(), connection.transaction():
        connection.execute("select people.lock_people()")
        asked = {"batch": batch, "rows": [record.row_no for record in records], "known": known_ids(found)}
        done, last, complete = connection.execute(_STATE, asked).fetchall()[0]
        records, found = _undone(records, found if complete else nothing(records), set(done))
        if not records:
            return Committed(0, 0)
        if last != found.up_to:
            found = look_up(connection, records, model, cap=rules.cap, before=found)
        decisions = decide(records, found.stored(), model.compare, rules)
        _write(connection, batch, records, decisions, found)
        return Committed(len(records), sum(count >= rules.cap for count in found.seen.values()))


def _undone(records: Sequence[Record], found: Lookup, done: set[int]) -> tuple[Sequence[Record], Lookup]:
    if not done:
        return records, found
    left = [i for i, record in enumerate(records) if record.row_no not in done]
    return [records[i] for i in left], replace(found, pairs=[found.pairs[i] for i in left])


def rows_done(connection: Connection, batch: UUID, rows: list[int]) -> set[int]:
    """Which of the batch's rows have a result."""
    query = "select row_no from people.match_result where batch_id = %s and row_no = any(%s::bigint[])"
    return {row for (row,) in connection.execute(query, [batch, rows])}


def _write(connection: Connection, batch: UUID, records: Sequence[Record], decisions: Sequence[Decision],
           found: Lookup) -> None:  # fmt: skip
    inserted = [i for i, decision in enumerate(decisions) if decision.inserted]
    ids = dict(zip(inserted, _new_ids(connection, len(inserted)), strict=True))
    fields = _fields(connection, records, decisions, found)
    people = [_person(id_, records[i]) for i, id_ in ids.items()]
    told = list(zip(records, decisions, strict=True))
    results = [
        _result(i, record, decision, ids) | {"fields": fields.get(i, {})} for i, (record, decision) in enumerate(told)
    ]
    reviews = [review for record, decision in told for review in _to_review(record, decision, ids)]
    connection.execute(_PERSON, {"people": _json(people), "norm": NORM_VERSION, "batch": batch})
    connection.execute(_RESULT, {"results": _json(results), "batch": batch})
    if reviews:
        connection.execute(_REVIEW, {"reviews": _json(reviews), "batch": batch})


def _new_ids(connection: Connection, count: int) -> list[int]:
    query = "select nextval('people.person_id_seq') from generate_series(1, %s)"
    return sorted(id_ for (id_,) in connection.execute(query, [count])) if count else []


def _person(id_: int, record: Record) -> dict[str, object]:
    return {"id": id_, "f": record.person, "raw": record.raw, "keys": record.keys, "mark": record.fingerprint.hex(),
            "row": record.row_no}  # fmt: skip


def _result(at: int, record: Record, decision: Decision, ids: dict[int, int]) -> dict[str, object]:
    """One row; a record that is held for review is kept whole, so that it is not lost."""
    person = _id(decision.best.id, ids) if decision.kind == "match" and decision.best else ids.get(at)
    return {
        "row": record.row_no,
        "record": record.record_id,
        "decision": decision.kind,
        "person": person,
        "score": round(probability(decision.best.bits), 6) if decision.best else 0.0,
        "reason": decision.reason,
        "raw": record.raw if decision.kind == "review" and not decision.inserted else None,
        "at": at,
    }


def _id(reference: int, ids: dict[int, int]) -> int:
    """The stored id behind a candidate: a person of this very chunk has one by now."""
    return reference if reference > 0 else ids[-1 - reference]


def _to_review(record: Record, decision: Decision, ids: dict[int, int]) -> list[dict[str, object]]:
    if decision.kind != "review" or decision.best is None:
        return []
    return [
        {"row": record.row_no, "candidate": _id(each.id, ids), "score": round(probability(each.bits), 6)}
        for each in [decision.best, *decision.others]
    ]


def _fields(connection: Connection, records: Sequence[Record], decisions: Sequence[Decision],
            found: Lookup) -> dict[int, dict[str, object]]:  # fmt: skip
    """Jaro and Jaro-Winkler of every field against the best candidate, for all but the new."""
    near = [(i, each.best.id) for i, each in enumerate(decisions) if each.best and each.kind != "new"]
    people = found.likeliest | fetch(connection, {id_ for _, id_ in near if id_ > 0} - found.likeliest.keys())
    near = [(i, id_) for i, id_ in near if id_ < 0 or id_ in people]
    left = [records[i].person for i, _ in near]
    right = [people[id_] if id_ > 0 else records[-1 - id_].person for _, id_ in near]
    columns = {}
    for at, field in enumerate(Person._fields if near else ()):
        columns[field] = likeness([person[at] for person in left], [person[at] for person in right])
    return {i: {field: pairs[n] for field, pairs in columns.items() if pairs[n]} for n, (i, _) in enumerate(near)}


_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
