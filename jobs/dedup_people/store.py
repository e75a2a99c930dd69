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
from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString

import xxhash

from jobs.dedup_people.clean import NORM_VERSION, Person
from jobs.dedup_people.decide import decide
from jobs.dedup_people.lookup import Lookup, fetch, look_up, vanished
from jobs.dedup_people.model import probability
from jobs.dedup_people.similarity import jaro, jaro_winkler

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    import psycopg

    from jobs.dedup_people.decide import Decision, Record, Rules
    from jobs.dedup_people.model import Model

    Connection = psycopg.Connection

_PERSON = """copy people.person (id, first_name, last_name, house, street, unit, city, state, zip, raw, keys,
fingerprint, norm_version, source_batch, source_row) from stdin"""
_RESULT = """copy people.match_result (batch_id, row_no, record_id, decision, person_id, score, fields, reason, raw,
commit_no, position) from stdin"""
_REVIEW = "copy people.review (batch_id, row_no, candidate_id, score) from stdin"


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
    with connection.transaction():
        connection.execute("select people.lock_people()")
        records, found = _undone(connection, batch, records, found)
        if not records:
            return Committed(0, 0)
        if vanished(connection, found):
            found = look_up(connection, records, model, cap=rules.cap)
        found = look_up(connection, records, model, cap=rules.cap, before=found)
        decisions = decide(records, found.stored(), model.compare, rules)
        _write(connection, batch, records, decisions)
        return Committed(len(records), sum(count >= rules.cap for count in found.seen.values()))


def _undone(connection: Connection, batch: UUID, records: Sequence[Record],
            found: Lookup) -> tuple[Sequence[Record], Lookup]:  # fmt: skip
    done = rows_done(connection, batch, [record.row_no for record in records])
    if not done:
        return records, found
    left = [i for i, record in enumerate(records) if record.row_no not in done]
    kept = Lookup(found.up_to, [found.pairs[i] for i in left], found.exact, found.seen)
    return [records[i] for i in left], kept


def rows_done(connection: Connection, batch: UUID, rows: list[int]) -> set[int]:
    """Which of the batch's rows have a result."""
    query = "select row_no from people.match_result where batch_id = %s and row_no = any(%s::bigint[])"
    return {row for (row,) in connection.execute(query, [batch, rows])}


def _write(connection: Connection, batch: UUID, records: Sequence[Record], decisions: Sequence[Decision]) -> None:
    inserted = [i for i, decision in enumerate(decisions) if decision.inserted]
    ids = dict(zip(inserted, _new_ids(connection, len(inserted)), strict=True))
    _write_people(connection, batch, {id_: records[i] for i, id_ in ids.items()})
    commit_no = _number(connection, "select nextval('people.commit_no')")
    fields = _fields(connection, records, decisions)
    reviews: list[tuple[UUID, int, int, float]] = []
    with connection.cursor() as cursor, cursor.copy(_RESULT) as copy:
        for i, (record, decision) in enumerate(zip(records, decisions, strict=True)):
            copy.write_row((batch, *_result(record, decision, ids.get(i), ids), fields.get(i, "{}"), decision.reason,
                            _held(record, decision), commit_no, i))  # fmt: skip
            reviews += [(batch, record.row_no, *each) for each in _to_review(decision, ids)]
    with connection.cursor() as cursor, cursor.copy(_REVIEW) as copy:
        for row in reviews:
            copy.write_row(row)


def _new_ids(connection: Connection, count: int) -> list[int]:
    query = "select nextval('people.person_id_seq') from generate_series(1, %s)"
    return sorted(id_ for (id_,) in connection.execute(query, [count]))


def _number(connection: Connection, query: LiteralString) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None  # noqa: S101 - for the type checker: this query has one row
    return int(row[0])


def _write_people(connection: Connection, batch: UUID, people: dict[int, Record]) -> None:
    with connection.cursor() as cursor, cursor.copy(_PERSON) as copy:
        for id_, record in people.items():
            copy.write_row((id_, *record.person, _json(record.raw), record.keys, record.fingerprint, NORM_VERSION,
                            batch, record.row_no))  # fmt: skip
    pairs = [(key, id_) for id_, record in people.items() for key in record.keys]
    connection.execute(
        "insert into people.person_key (key, person_id) select * from unnest(%s::bigint[], %s::bigint[])",
        [[key for key, _ in pairs], [id_ for _, id_ in pairs]],
        binary=True,
    )


def _result(record: Record, decision: Decision, own: int | None,
            ids: dict[int, int]) -> tuple[int, str | None, str, int | None, float]:  # fmt: skip
    """row_no, record_id, decision, person_id, score."""
    person_id = own
    if decision.kind == "match" and decision.best:
        person_id = _id(decision.best.id, ids)
    score = round(probability(decision.best.bits), 6) if decision.best else 0.0
    return record.row_no, record.record_id, decision.kind, person_id, score


def _id(reference: int, ids: dict[int, int]) -> int:
    """The stored id behind a candidate: a person of this very chunk has one by now."""
    return reference if reference > 0 else ids[-1 - reference]


def _held(record: Record, decision: Decision) -> str | None:
    return _json(record.raw) if decision.kind == "review" and not decision.inserted else None


def _to_review(decision: Decision, ids: dict[int, int]) -> list[tuple[int, float]]:
    if decision.kind != "review" or decision.best is None:
        return []
    return [(_id(each.id, ids), round(probability(each.bits), 6)) for each in [decision.best, *decision.others]]


def _fields(connection: Connection, records: Sequence[Record], decisions: Sequence[Decision]) -> dict[int, str]:
    """Jaro and Jaro-Winkler of every field against the best candidate, as JSON, for all but the new."""
    near = [(i, each.best.id) for i, each in enumerate(decisions) if each.best and each.kind != "new"]
    people = fetch(connection, {id_ for _, id_ in near if id_ > 0})
    near = [(i, id_) for i, id_ in near if id_ < 0 or id_ in people]
    left = [records[i].person for i, _ in near]
    right = [people[id_] if id_ > 0 else records[-1 - id_].person for _, id_ in near]
    columns = {}
    for at, field in enumerate(Person._fields if near else ()):
        one, two = [person[at] for person in left], [person[at] for person in right]
        columns[field] = list(zip(jaro(one, two).tolist(), jaro_winkler(one, two).tolist(), strict=True))
    return {i: _json(_scores(columns, left[n], right[n], n)) for n, (i, _) in enumerate(near)}


def _scores(columns: dict[str, list[tuple[float, float]]], one: Person, two: Person, at: int) -> dict[str, object]:
    """By field that both have: {"jaro": ..., "jaro_winkler": ...}."""
    known = [field for field, a, b in zip(Person._fields, one, two, strict=True) if a and b]
    scores = {field: [round(value, 4) for value in columns[field][at]] for field in known}
    return {field: {"jaro": a, "jaro_winkler": b} for field, (a, b) in scores.items()}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
