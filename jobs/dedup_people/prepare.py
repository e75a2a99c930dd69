"""The part of the work that needs no lock and fans out over pods: clean, make keys, look up, score.

Reads: rows of one chunk and the stored people they may be.
Writes: a `Prepared` chunk, in memory or as one line of JSON.
Again: the same; stale is fine, since the commit looks at what was stored since.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from jobs.dedup_people.address import address
from jobs.dedup_people.clean import Person, city, name, parts, postcode, state
from jobs.dedup_people.decide import Record
from jobs.dedup_people.keys import keys
from jobs.dedup_people.lookup import Lookup, look_up
from jobs.dedup_people.store import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import psycopg

    from jobs.dedup_people.model import Model
    from jobs.dedup_people.read import Raw, Row


@dataclass(frozen=True)
class Prepared:
    """A chunk with all that was found for it."""

    records: list[Record]
    lookup: Lookup

    def to_json(self) -> str:
        """One line; what is derived from the raw record is left out where it is quicker to make than to read."""
        found = self.lookup
        return json.dumps({
            "rows": [[each.row_no, each.raw, list(each.person), each.keys] for each in self.records],
            "up_to": found.up_to,
            "pairs": [list(pairs.items()) for pairs in found.pairs],
            "exact": [[mark.hex(), id_] for mark, id_ in found.exact.items()],
            "seen": list(found.seen.items()),
        })  # fmt: skip


def from_json(line: str) -> Prepared:
    """What `to_json` wrote."""
    read = json.loads(line)
    records = [_record(row_no, raw, Person(*person), made) for row_no, raw, person, made in read["rows"]]
    exact = {bytes.fromhex(mark): id_ for mark, id_ in read["exact"]}
    pairs = [dict(map(tuple, each)) for each in read["pairs"]]
    return Prepared(records, Lookup(read["up_to"], pairs, exact, dict(map(tuple, read["seen"]))))


def record(row: Row) -> Record:
    """A row, cleaned and keyed."""
    person = clean(row.raw)
    return _record(row.number, row.raw, person, keys(person))


def _record(number: int, raw: Raw, person: Person, made: list[int]) -> Record:
    return Record(number, raw.get("record_id"), person, made, fingerprint(person), raw)


def clean(raw: Raw) -> Person:
    """The fields of a raw record; an address in one text yields to parts that are given by themselves."""
    get = raw.get
    if not get("street"):
        found = address(get("address", ""))
        first, last = name(get("first_name", "")), name(get("last_name", ""))
        person = Person(first, last, *found)
        if "city" in raw or "postcode" in raw or "state" in raw:
            person = _fill(person, raw)
        return person
    return parts(
        first=get("first_name", ""), last=get("last_name", ""), house_number=get("house_number", ""),
        street_name=get("street", ""), unit_number=get("unit", ""), town=get("city", ""),
        region=get("state", ""), code=get("postcode", ""),
    )  # fmt: skip


def _fill(person: Person, raw: Raw) -> Person:
    """Town, state and postcode from their own columns where the address did not say."""
    return person._replace(
        city=person.city or city(raw.get("city", "")),
        state=person.state or state(raw.get("state", "")),
        zip=person.zip or postcode(raw.get("postcode", "")),
    )


def chunks(rows: Iterable[Row], size: int) -> Iterator[list[Record]]:
    """Cleaned records, `size` at a time."""
    records = map(record, rows)
    while chunk := list(islice(records, size)):
        yield chunk


def prepare(connection: psycopg.Connection, records: list[Record], model: Model, *, cap: int) -> Prepared:
    """Look a chunk up, without the lock."""
    return Prepared(records, look_up(connection, records, model, cap=cap))
