"""Who in the table a chunk's records may be: candidates by key, scored. Needs no lock.

Reads: `people.person_key` and `people.person`, in one snapshot.
Writes: nothing; a `Lookup` says up to which person (`up_to`) it has seen, so that a commit looks at the rest only.
Again: the same, as long as nobody new shares a key.

Memory: people of one chunk's candidates, whatever the table's size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jobs.dedup_people.clean import Person
from jobs.dedup_people.decide import Candidate, Stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import psycopg
    from numpy.typing import NDArray

    from jobs.dedup_people.decide import Record
    from jobs.dedup_people.model import Model

    Numbers = NDArray[np.int64]

_EQUAL = np.dtype([("mark", "V16"), ("id", ">i8")])

# One statement, so one snapshot: the last person, who has a key, who is equal; the latter two as one text of bytes, as
# thousands of rows cost the client more than finding them costs the server. One index range a key, in key order: a
# hash or merge join would read the whole table once it looks small enough, but cannot be made of a lateral limit.
_FOUND = """
select (select coalesce(max(id), 0) from people.person), (
    select string_agg(int8send(k.key) || int8send(p.person_id), '') from unnest(%(keys)s::bigint[], %(room)s::int[])
        as k (key, room)
    cross join lateral (
        select person_id from people.person_key where key = k.key and person_id > %(after)s order by person_id
        limit k.room
    ) p
), (
    select string_agg(fingerprint || int8send(id), '') from people.person where fingerprint = any(%(marks)s::bytea[])
)
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
        ordered = [sorted(found.items(), key=lambda each: (-each[1], each[0])) for found in self.pairs]
        return Stored([[Candidate(bits, id_) for id_, bits in each] for each in ordered], self.exact, self.seen)


def nothing(records: Sequence[Record]) -> Lookup:
    """Where every look-up starts."""
    return Lookup(0, [{} for _ in records])


def look_up(connection: psycopg.Connection, records: Sequence[Record], model: Model, *, cap: int,
            before: Lookup | None = None) -> Lookup:  # fmt: skip
    """Add to `before` everybody stored since."""
    before = before or nothing(records)
    keys = _Keys.of(records)
    found = _find(connection, records, keys, before, cap=cap)
    exact = before.exact | found.equal
    pairs = _pairs(records, keys, found, exact, before)
    people = fetch(connection, {id_ for _, id_ in pairs})
    scored = _score(records, [pair for pair in pairs if pair[1] in people], people, model)
    merged = [old | new for old, new in zip(before.pairs, scored, strict=True)]
    best = {max(found, key=lambda id_: (found[id_], -id_)) for found in merged if found}
    likeliest = before.likeliest | {id_: people[id_] for id_ in best if id_ in people}
    return Lookup(found.up_to, merged, exact, _seen(found.keys, before.seen), likeliest)


def _seen(keys: Numbers, before: Mapping[int, int]) -> dict[int, int]:
    """By key: how many people were seen under it, up to now and before."""
    hit, count = np.unique(keys, return_counts=True)
    return dict(before) | {key: before.get(key, 0) + n for key, n in zip(hit.tolist(), count.tolist(), strict=True)}


@dataclass(frozen=True)
class _Keys:
    """All keys of a chunk, each once and sorted, and whose they are."""

    keys: Numbers
    begin: Numbers
    """By key, and one more: where its records begin in `records`."""
    records: Numbers

    @classmethod
    def of(cls, records: Sequence[Record]) -> _Keys:
        lengths = [len(record.keys) for record in records]
        every = np.fromiter(chain.from_iterable(record.keys for record in records), np.int64, sum(lengths))
        order = np.argsort(every, kind="stable")
        keys, begin = np.unique(every[order], return_index=True)
        return cls(keys, np.append(begin, len(every)), np.repeat(np.arange(len(records)), lengths)[order])

    def pairs(self, keys: Numbers, ids: Numbers) -> set[tuple[int, int]]:
        """(record, person) for persons with `ids` who have `keys`."""
        at = np.searchsorted(self.keys, keys)
        begin, many = self.begin[at], self.begin[at + 1] - self.begin[at]
        ends = np.cumsum(many)
        within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - many, many)
        records = self.records[np.repeat(begin, many) + within]
        return set(zip(records.tolist(), np.repeat(ids, many).tolist(), strict=True))


class _Found(NamedTuple):
    """What one statement saw."""

    up_to: int
    keys: Numbers
    ids: Numbers
    """Of everybody with the key at the same place in `keys`."""
    equal: dict[bytes, int]


def _find(connection: psycopg.Connection, records: Sequence[Record], keys: _Keys, before: Lookup, *,
          cap: int) -> _Found:  # fmt: skip
    every = keys.keys.tolist()
    room = [cap - before.seen.get(key, 0) for key in every] if before.seen else [cap] * len(every)
    asked = {"keys": _array(every), "room": _array(room), "after": before.up_to,
             "marks": _marks(records)}  # fmt: skip
    up_to, hits, equal = connection.execute(_FOUND, asked, binary=True).fetchall()[0]
    pairs = np.frombuffer(hits or b"", ">i8").astype(np.int64).reshape(-1, 2)
    twins = np.frombuffer(equal or b"", _EQUAL)
    exact = dict(zip([bytes(mark) for mark in twins["mark"]], twins["id"].tolist(), strict=True))
    return _Found(up_to, pairs[:, 0], pairs[:, 1], exact)


def _array(numbers: Sequence[int]) -> str:
    """As PostgreSQL writes an array: for thousands of numbers much quicker than an adapter for each."""
    return f"{{{','.join(map(str, numbers))}}}"


def _marks(records: Sequence[Record]) -> str:
    """The fingerprints as PostgreSQL writes an array of bytea."""
    marks = [record.fingerprint.hex() for record in records]
    return '{"\\\\x' + '","\\\\x'.join(marks) + '"}'


def _pairs(records: Sequence[Record], keys: _Keys, found: _Found, exact: Mapping[bytes, int],
           before: Lookup) -> list[tuple[int, int]]:  # fmt: skip
    """(record, person), those left out that were scored before."""
    pairs = keys.pairs(found.keys, found.ids)
    pairs.update((i, exact[record.fingerprint]) for i, record in enumerate(records) if record.fingerprint in exact)
    return sorted(pair for pair in pairs if pair[1] not in before.pairs[pair[0]])


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
