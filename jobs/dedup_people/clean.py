"""One spelling for every way to write a person: what two records are compared by.

Reads: the text of one record's fields, in any script.
Writes: a `Person` of plain lower-case fields; a missing field is the empty string.
Again: cleaning what is clean changes nothing (`plain`, `name`, `street`, ... are idempotent).

Never raises, whatever the text. Bump `NORM_VERSION` with every change here: stored people carry it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from jobs.dedup_people.words import CITY_WORDS, STATES, STREET_WORDS, SUFFIXES, TITLES

NORM_VERSION = 2

_APOSTROPHES = "'`\u00b4\u02b9\u02bb\u02bc\u2018\u2019\u201b\uff07"
# NFKD leaves these letters alone, yet people type them plain: Jaro("l", "\u0142") is 0.
_LETTERS = {
    "\u0142": "l",
    "\u00f8": "o",
    "\u0111": "d",
    "\u00f0": "d",
    "\u00fe": "th",
    "\u00e6": "ae",
    "\u0153": "oe",
    "\u00df": "ss",
    "\u0131": "i",
    "\u0127": "h",
    "\u014b": "n",
    "\u0167": "t",
}
_TABLE = str.maketrans({**_LETTERS, **dict.fromkeys(_APOSTROPHES, "")})
_ASCII = str.maketrans(
    {chr(code): (chr(code).lower() if chr(code).isalnum() else " ") for code in range(128)} | dict.fromkeys("'`", "")
)
# Accents of Latin, Greek and Cyrillic, points of Hebrew and Arabic: marks that people leave out. Not those of
# Devanagari, Thai and the like, which are vowels.
_MARKS = re.compile("[\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u064b-\u065f\u0670]+")
_HOUSE = re.compile(r"\d+[a-z]?\Z")


class Person(NamedTuple):
    """The cleaned fields, in the order they are stored; "" where nothing is known."""

    first: str = ""
    last: str = ""
    house: str = ""
    street: str = ""
    unit: str = ""
    city: str = ""
    state: str = ""
    zip: str = ""


def plain(text: str) -> str:
    """Lower case, without accents, punctuation and surplus blanks; vowels that are marks stay."""
    if text.isascii():
        return " ".join(text.translate(_ASCII).split())
    for _ in range(8):  # two rounds do; the bound is for scripts whose folding chases itself
        folded = _fold(text)
        if folded == text:
            break
        text = folded
    return text


def _fold(text: str) -> str:
    text = unicodedata.normalize("NFKD", text).casefold().translate(_TABLE)
    text = unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFKD", text)))
    kept = (c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in text)
    return " ".join("".join(kept).split())


@lru_cache(maxsize=65536)
def name(text: str) -> str:
    """A first or last name without titles before and suffixes behind ("Dr. O'Neil Jr." is "oneil")."""
    words = plain(text).split()
    while len(words) > 1 and words[0] in TITLES:
        del words[0]
    while len(words) > 1 and words[-1] in SUFFIXES:
        del words[-1]
    return " ".join(words)


@lru_cache(maxsize=16384)
def street(text: str) -> str:
    """A street's name with the usual abbreviations ("North Main Street" is "n main st")."""
    return " ".join(street_words(plain(text).split()))


def street_words(words: list[str]) -> list[str]:
    """The same of words that are plain already."""
    return [STREET_WORDS.get(word, word) for word in words]


@lru_cache(maxsize=16384)
def city(text: str) -> str:
    """A town's name ("Saint Paul" is "st paul")."""
    return city_name(plain(text).split())


def city_name(words: list[str]) -> str:
    """The same of words that are plain already."""
    return " ".join([CITY_WORDS.get(word, word) for word in words])


@lru_cache(maxsize=1024)
def state(text: str) -> str:
    """The two letters of a state of the USA, or the plain text of any other region."""
    words = plain(text)
    return STATES.get(words, words)


def house(text: str) -> str:
    """A house number without leading zeros ("007 B" is "7b")."""
    return _house(plain(text))


def _house(words: str) -> str:
    joined = words.replace(" ", "")
    return joined.lstrip("0") or joined[:1]


def unit(text: str) -> str:
    """What stands behind "apartment" ("Apt. 4 B" is "4b")."""
    words = [word for word in street(text).split() if word not in {"apt", "ste", "unit", "rm", "fl"}]
    return "".join(words)


def postcode(text: str) -> str:
    """A postcode in one word; nine digits are cut to the five that everybody writes."""
    joined = plain(text).replace(" ", "")
    return joined[:5] if len(joined) == 9 and joined.isdecimal() else joined  # noqa: PLR2004 - ZIP+4


def parts(
    *, first: str, last: str, house_number: str, street_name: str, unit_number: str, town: str, region: str, code: str
) -> Person:
    """Clean a record whose address comes in fields; a house number may lead the street instead."""
    number, road = house(house_number), street(street_name)
    if not number:
        number, road = split_house(road)
    return Person(name(first), name(last), number, road, unit(unit_number), city(town), state(region), postcode(code))


def split_house(road: str) -> tuple[str, str]:
    """Take the house number off the front of a cleaned street ("12b n main st" gives "12b", "n main st")."""
    head, _, rest = road.partition(" ")
    return (_house(head), rest) if rest and _HOUSE.match(head) else ("", road)
