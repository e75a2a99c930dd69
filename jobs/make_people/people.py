"""People that do not exist, some of them twice.

Reads: a seed, and how many and how faulty people are wanted.
Writes: records (`record_id, first_name, last_name, address`) and, apart, whom each one really is (`Truth`).
Again: the same seed gives the same people, in the same order, with the same mistakes.

A duplicate is of somebody in this batch or in the batch before (`earlier_seed`), so that an hourly run finds
people it stored an hour ago. A household member has another first name and the same last name and address:
a different person that a careless matcher merges.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from faker import Faker

from jobs.make_people.corrupt import corrupt

if TYPE_CHECKING:
    from collections.abc import Iterator

    Record = dict[str, str]

_POOL = 2000
"""Duplicates are of one of this many people last made, so memory does not grow with the batch."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What kind of batch."""

    count: int
    """Records in the batch."""
    duplicates: float
    """Share of records that are faulty copies of somebody, 0 to 1."""
    households: float
    """Share of records that are another person at somebody's address, 0 to 1."""
    locale: str = "en_US"
    """Faker's locale, such as en_US, de_DE."""


@dataclass(frozen=True)
class Truth:
    """Who a record really is."""

    record_id: str
    person: str
    """The `record_id` of this person's first, faultless record."""
    kind: str
    """"new", "household", or the mistake's name."""


def people(seed: str, wanted: Wanted, *, earlier_seed: str | None = None) -> Iterator[tuple[Record, Truth]]:
    """One batch, record by record."""
    known = deque(_originals(earlier_seed, wanted) if earlier_seed else (), maxlen=_POOL)
    faker = Faker(wanted.locale)
    faker.seed_instance(seed)
    for i in range(wanted.count):
        record_id = f"{seed}-{i:07d}"
        random = Random(record_id)  # noqa: S311 - a test set, not a secret; one each, so that no record moves the next
        fresh, kind = _record(record_id, faker), _kind(random.random(), wanted)
        if kind != "new" and not known:
            kind = "first"
        if kind == "duplicate":
            yield _duplicate(record_id, random.choice(known), random)
            continue
        if kind == "household":
            home = random.choice(known)
            fresh |= {"last_name": home["last_name"], "address": home["address"]}
        known.append(fresh)
        yield fresh, Truth(record_id, record_id, kind)


def _kind(chance: float, wanted: Wanted) -> str:
    if chance < wanted.duplicates:
        return "duplicate"
    return "household" if chance < wanted.duplicates + wanted.households else "new"


def _duplicate(record_id: str, original: Record, random: Random) -> tuple[Record, Truth]:
    copy, kind = corrupt(original, random)
    return copy | {"record_id": record_id}, Truth(record_id, original["record_id"], kind)


def _originals(seed: str, wanted: Wanted) -> list[Record]:
    """The last faultless people of another batch; those of kind "new" are the same whatever came before that batch."""
    made = (record for record, truth in people(seed, wanted) if truth.kind == "new")
    return list(deque(made, maxlen=_POOL))


def _record(record_id: str, faker: Faker) -> Record:
    return {
        "record_id": record_id,
        "first_name": faker.first_name(),
        "last_name": faker.last_name(),
        "address": faker.address(),
    }
