"""The mistakes that make one person look like two: what known duplicates are made with.

Reads: a record and a random generator.
Writes: the record with one mistake (or three at once) and the mistake's name.
Again: the same generator state gives the same mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    Record = dict[str, str]
    Mistake = Callable[[Record, Random], None]

_TEXTS = ("first_name", "last_name", "address")
_SHORT = {
    "Street": "St", "Avenue": "Ave", "Road": "Rd", "Drive": "Dr", "Lane": "Ln", "Court": "Ct", "Place": "Pl",
    "Suite": "Ste", "Apt.": "Apartment", "North": "N", "South": "S", "East": "E", "West": "W", "Square": "Sq",
}  # fmt: skip
_KEYS = "abcdefghijklmnopqrstuvwxyz"


def corrupt(record: Record, random: Random) -> tuple[Record, str]:
    """A copy of `record` with a mistake, and the mistake's name."""
    kind = random.choice([*MISTAKES, "multi"])
    copy = dict(record)
    for each in random.sample(list(MISTAKES), 3) if kind == "multi" else [kind]:
        MISTAKES[each](copy, random)
    return copy, kind


def _typo(record: Record, random: Random) -> None:
    field = random.choice([name for name in _TEXTS if record[name]])
    text = record[field]
    at = random.randrange(len(text))
    letter = random.choice("0123456789" if text[at].isdigit() else _KEYS)
    record[field] = random.choice([text[:at] + letter + text[at + 1 :], text[:at] + text[at + 1 :]]) or text


def _transposition(record: Record, random: Random) -> None:
    field = random.choice([name for name in _TEXTS if len(record[name]) > 1])
    text = record[field]
    at = random.randrange(len(text) - 1)
    record[field] = text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def _missing(record: Record, random: Random) -> None:
    field = random.choice(["first_name", "town", "postcode"])
    street, _, rest = record["address"].partition("\n")
    if field == "first_name" or not rest:
        record["first_name"] = "" if record["last_name"] else record["first_name"]
    elif field == "town":
        record["address"] = f"{street}\n{' '.join(rest.rpartition(',')[2].split())}"
    else:
        record["address"] = f"{street}\n{' '.join(rest.split()[:-1])}"


def _abbreviation(record: Record, random: Random) -> None:
    words = [_SHORT.get(word, word) for word in record["address"].split(" ")]
    record["address"] = " ".join(words).replace("\n", random.choice([", ", "\n"]))


def _swap(record: Record, _: Random) -> None:
    record["first_name"], record["last_name"] = record["last_name"], record["first_name"]


def _case(record: Record, random: Random) -> None:
    change = random.choice([str.upper, str.lower])
    for field in _TEXTS:
        record[field] = change(record[field])


MISTAKES: dict[str, Mistake] = {
    "typo": _typo,
    "transposition": _transposition,
    "missing": _missing,
    "abbreviation": _abbreviation,
    "swap": _swap,
    "case": _case,
}
"""By name; "multi" is three different ones at once."""
