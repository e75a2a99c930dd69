"""Who in the table a chunk's records may be: candidates by key, scored. Needs no lock.

Reads: `people.person_key` and `people.person`, in one snapshot.
Writes: nothing; a `Lookup` says up to which person (`up_to`) it has seen, so that a commit looks at the rest only.
Again: the same, as long as nobody new shares a key.

Memory: people of one chunk's candidates, whatever the table's size.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobs.dedup_people.clean import Person
from jobs.dedup_people.decide import Candidate, Stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import psycopg

    from jobs.dedup_people.decide import Record
    from jobs.dedup_people.model import Model

# One index range a key, in key order: a hash or merge join would read the whole table once it looks small enough.
_BY_KEY = """
select k.key, p.person_id
from unnest(%s::bigint[], %s::int[]) as k (key, room)
cross join lateral (
    select person_id from people.person_key where key = k.key and person_id > %s order by person_id limit k.room
) p
"""
_PEOPLE = """
select id, first_name, last_name, house, street, unit, city, state, zip from people.person where id = any(%s::bigint[])
"""
_EXACT = "select fingerprint, id from people.person where fingerprint = any(%s::bytea[])"
_LAST = "select coalesce(max(id), 0) from people.person"


@dataclass
class Lookup:
    """What was found for a chunk, up to the person with id `up_to`."""

    up_to: int
    pairs: list[dict[int, float]]
    """By record: bits of every stored person that shares a key."""
    exact: dict[bytes, int] = field(default_factory=dict)
    seen: dict[int, int] = field(default_factory=dict)

    def stored(self) -> Stored:
        """As the decision wants it: best first."""
        ranked = [sorted(Candidate(bits, id_) for id_, bits in found.items()) for found in self.pairs]
        ordered = [sorted(each, key=lambda c: (-c.bits, c.id)) for each in ranked]
        return Stored(ordered, self.exact, self.seen)


def nothing(records: Sequence[Record]) -> Lookup:
    """Where every look-up starts."""
    return Lookup(0, [{} for _ in records])


def look_up(connection: psycopg.Connection, records: Sequence[Record], model: Model, *, cap: int,
            before: Lookup | None = None) -> Lookup:  # fmt: skip
    """Add to `before` everybody stored since. Run it under the lock, or in a transaction with one snapshot."""
    before = before or nothing(records)
    up_to = _last(connection)
    if up_to == before.up_to:
        return before
    by_key = _by_key(connection, records, before, cap=cap)
    exact = dict(before.exact)
    fingerprints = [record.fingerprint for record in records]
    exact.update((bytes(mark), id_) for mark, id_ in connection.execute(_EXACT, [fingerprints], binary=True))
    pairs = _score(connection, records, _pairs(records, by_key, exact, before), model)
    merged = [old | new for old, new in zip(before.pairs, pairs, strict=True)]
    seen = dict(before.seen)
    for key, ids in by_key.items():
        seen[key] = seen.get(key, 0) + len(ids)
    return Lookup(up_to, merged, exact, seen)


def _last(connection: psycopg.Connection) -> int:
    row = connection.execute(_LAST).fetchone()
    return int(row[0]) if row else 0


def _by_key(connection: psycopg.Connection, records: Sequence[Record], before: Lookup, *,
            cap: int) -> dict[int, list[int]]:  # fmt: skip
    keys = sorted({key for record in records for key in record.keys})
    room = [cap - before.seen.get(key, 0) for key in keys]
    found: dict[int, list[int]] = defaultdict(list)
    connection.execute("set local enable_hashjoin = off; set local enable_mergejoin = off; set local jit = off")
    for key, id_ in connection.execute(_BY_KEY, [keys, room, before.up_to], binary=True):
        found[key].append(id_)
    return found


def _pairs(records: Sequence[Record], by_key: dict[int, list[int]], exact: dict[bytes, int],
           before: Lookup) -> list[tuple[int, int]]:  # fmt: skip
    pairs = []
    for i, record in enumerate(records):
        ids = {id_ for key in record.keys for id_ in by_key.get(key, ())}
        if record.fingerprint in exact:
            ids.add(exact[record.fingerprint])
        pairs += [(i, id_) for id_ in sorted(ids - before.pairs[i].keys())]
    return pairs


def _score(connection: psycopg.Connection, records: Sequence[Record], pairs: Sequence[tuple[int, int]],
           model: Model) -> list[dict[int, float]]:  # fmt: skip
    people = fetch(connection, {id_ for _, id_ in pairs})
    pairs = [pair for pair in pairs if pair[1] in people]
    bits = model.compare([records[i].person for i, _ in pairs], [people[id_] for _, id_ in pairs])
    found: list[dict[int, float]] = [{} for _ in records]
    for (i, id_), value in zip(pairs, bits.tolist(), strict=True):
        found[i][id_] = value
    return found


def fetch(connection: psycopg.Connection, ids: Iterable[int]) -> dict[int, Person]:
    """The cleaned fields of stored people."""
    rows = connection.execute(_PEOPLE, [sorted(ids)], binary=True)
    return {row[0]: Person(*row[1:]) for row in rows}


def vanished(connection: psycopg.Connection, lookup: Lookup) -> bool:
    """Whether somebody that was found has been deleted since; meant for under the lock."""
    ids = sorted({id_ for found in lookup.pairs for id_ in found} | set(lookup.exact.values()))
    row = connection.execute("select count(*) from people.person where id = any(%s::bigint[])", [ids]).fetchone()
    return row is not None and int(row[0]) != len(ids)
