"""The keys two records of one person are expected to share: the index that makes matching independent of table size.

Reads: a cleaned `Person`.
Writes: some eight (at most 14) signed 64-bit numbers, stored in `people.person_key` when the person is.
Again: the same numbers in every process, machine and version (XXH3 is a frozen format); never Python's `hash`.

Bump `clean.NORM_VERSION` with every change here. A rule whose parts are missing gives no key.

Every key is a look-up and an insert, so the rules are few: of all sets of ten rules that were tried, this one finds
99.5 % of FEBRL 3's true pairs by name and address (all ten 99.7 %, with five keys a person more), 99.96 % of FEBRL 4's
and all of the made people's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import jellyfish
import xxhash

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.dedup_people.clean import Person

_SIGN = 1 << 63


@lru_cache(maxsize=65536)
def sound(text: str) -> str:
    """How a name sounds in English (metaphone of it without blanks); a name in another script is its first letters."""
    joined = text.replace(" ", "")
    letters = "".join(c for c in joined if c.isascii() and c.isalpha())
    return (jellyfish.metaphone(letters)[:8] if letters else "") or joined[:6]


def keys(person: Person) -> list[int]:
    """All keys of one person, sorted, without repeats."""
    return sorted({number(rule) for rule in rules(person)})


def number(text: str) -> int:
    """A stable signed 64-bit number of a text, as PostgreSQL's bigint holds it."""
    value = xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))
    return value - (1 << 64) if value >= _SIGN else value


def rules(p: Person) -> Iterator[str]:
    """The texts behind the keys; the letter in front is the rule's name."""
    sounds = {name: sound(name.partition(" ")[0] if name is p.first else name) for name in (p.last, p.first) if name}
    yield from _place_rules(p, sounds)
    for name in sounds:  # first and last name give the same rules, so that a swapped pair still meets
        if p.zip:
            yield f"C|{name[:3]}|{p.zip}"
        if p.city:
            yield f"J|{name[:3]}|{p.city}"
    if not p.city and len(sounds) > 1:
        yield f"F|{'|'.join(sorted(sounds.values()))}"


def _place_rules(p: Person, sounds: dict[str, str]) -> Iterator[str]:
    digits = "".join(sorted(p.zip))  # two of them often change places
    for place in _places(p):
        if p.house:
            yield f"B|{p.house}|{place[:4]}"
        if p.zip:
            yield f"G|{place[:6]}|{digits}"
        for heard in sounds.values():
            yield f"E|{place[:8]}|{heard}"
    if p.city and is_named(p.unit):
        yield f"I|{p.unit[:6]}|{p.city.replace(' ', '')[:3]}"


def _places(p: Person) -> set[str]:
    """Street and named building without blanks: people write the one where the other belongs, and blanks anywhere."""
    named = p.unit if is_named(p.unit) else ""
    return {p.street.replace(" ", ""), named.replace(" ", "")} - {""}


def is_named(unit: str) -> bool:
    """A building's name tells people apart, an apartment's number does not."""
    return bool(unit) and not unit[0].isdigit()
