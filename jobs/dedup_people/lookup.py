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
    from collections.abc import Iterable, Mapping, Sequence

    import psycopg

    from jobs.dedup_people.decide import Record
    from jobs.dedup_people.model import Model

# One statement, so one snapshot: the last person, who has a key, who is equal. One index range a key, in key order: a
# hash or merge join would read the whole table once it looks small enough, but cannot be made of a lateral limit.
_FOUND = """
select null::bigint, null::bytea, coalesce(max(id), 0) from people.person
union all
select k.key, null, p.person_id
from unnest(%(keys)s::bigint[], %(room)s::int[]) as k (key, room)
cross join lateral (
    select person_id from people.person_key where key = k.key and person_id > %(after)s order by person_id limit k.room
) p
union all
select null, fingerprint, id from people.person where fingerprint = any(%(marks)s::bytea[])
"""
_PEOPLE = """
select id, first_name, last_name, house, street, unit, city, state, zip from people.person where id = any(%s::bigint[])
"""


@dataclass
class Lookup:
    """What was found for a chunk, up to the person with id `up_to`."""

    up_to: int
    pairs: list[dict[int, float]]
    """By record: bits of every stored person that shares a key."""
    exact: dict[bytes, int] = field(default_factory=dict)
    seen: dict[int, int] = field(default_factory=dict)
    likeliest: dict[int, Person] = field(default_factory=dict)
    """Each record's best, to spare a second look; anybody may be missing here."""

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
    """Add to `before` everybody stored since."""
    before = before or nothing(records)
    up_to, by_key, equal = _find(connection, records, before, cap=cap)
    exact = before.exact | equal
    pairs = _pairs(records, by_key, exact, before)
    people = fetch(connection, {id_ for _, id_ in pairs})
    scored = _score(records, [pair for pair in pairs if pair[1] in people], people, model)
    merged = [old | new for old, new in zip(before.pairs, scored, strict=True)]
    seen = dict(before.seen)
    for key, ids in by_key.items():
        seen[key] = seen.get(key, 0) + len(ids)
    best = {max(found, key=lambda id_: (found[id_], -id_)) for found in merged if found}
    likeliest = before.likeliest | {id_: people[id_] for id_ in best if id_ in people}
    return Lookup(up_to, merged, exact, seen, likeliest)


def _find(connection: psycopg.Connection, records: Sequence[Record], before: Lookup, *,
          cap: int) -> tuple[int, dict[int, list[int]], dict[bytes, int]]:  # fmt: skip
    """The last person's id, ids by key, id by fingerprint."""
    keys = sorted({key for record in records for key in record.keys})
    room = [cap - before.seen.get(key, 0) for key in keys] if before.seen else [cap] * len(keys)
    asked = {"keys": _array(keys), "room": _array(room), "after": before.up_to,
             "marks": [record.fingerprint for record in records]}  # fmt: skip
    up_to, equal = 0, {}
    found: dict[int, list[int]] = defaultdict(list)
    for key, mark, id_ in connection.execute(_FOUND, asked, binary=True):
        if key is not None:
            found[key].append(id_)
        elif mark is not None:
            equal[bytes(mark)] = id_
        else:
            up_to = id_
    return up_to, found, equal


def _array(numbers: Sequence[int]) -> str:
    """As PostgreSQL writes an array: for thousands of numbers much quicker than an adapter for each."""
    return f"{{{','.join(map(str, numbers))}}}"


def _pairs(records: Sequence[Record], by_key: dict[int, list[int]], exact: dict[bytes, int],
           before: Lookup) -> list[tuple[int, int]]:  # fmt: skip
    pairs = []
    for i, record in enumerate(records):
        ids = {id_ for key in record.keys for id_ in by_key.get(key, ())}
        if record.fingerprint in exact:
            ids.add(exact[record.fingerprint])
        pairs += [(i, id_) for id_ in sorted(ids - before.pairs[i].keys())]
    return pairs


def _score(records: Sequence[Record], pairs: Sequence[tuple[int, int]], people: Mapping[int, Person],
           model: Model) -> list[dict[int, float]]:  # fmt: skip
    bits = model.compare([records[i].person for i, _ in pairs], [people[id_] for _, id_ in pairs])
    found: list[dict[int, float]] = [{} for _ in records]
    for (i, id_), value in zip(pairs, bits.tolist(), strict=True):
        found[i][id_] = value
    return found


def fetch(connection: psycopg.Connection, ids: Iterable[int]) -> dict[int, Person]:
    """The cleaned fields of stored people."""
    wanted = sorted(ids)
    rows = connection.execute(_PEOPLE, [_array(wanted)], binary=True) if wanted else ()
    return {row[0]: Person(*row[1:]) for row in rows}


def known_ids(lookup: Lookup) -> str:
    """Everybody that was found, as an array: who of them has been deleted since must be looked at under the lock."""
    return _array(sorted({id_ for found in lookup.pairs for id_ in found} | set(lookup.exact.values())))
