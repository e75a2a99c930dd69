"""A free-text address taken apart: house, street, unit, city, state, postcode.

Reads: one text, in one line or several, such as "12 Main Street Apt. 4, Springfield, IL 62704".
Writes: the six cleaned parts; what cannot be told apart stays in the street or the city, nothing is dropped.
Again: the same text gives the same parts.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from jobs.dedup_people.clean import city_name, plain, postcode, split_house, street_words
from jobs.dedup_people.words import STATE_CODES, STATES, STREET_ENDS, UNITS

_BREAK = re.compile(r"[\r\n,;|]+")
_ZIP_PLUS_4 = re.compile(r"\b(\d{5})-\d{4}\b")
_POSTCODE_DIGITS = 4
_SECOND_LINE = {"box", "suite", "apartment", *UNITS}
"""A line that begins so goes on with the street of the line before."""


class Address(NamedTuple):
    """The parts, cleaned, in the order of `Person`."""

    house: str
    street: str
    unit: str
    city: str
    state: str
    zip: str


@lru_cache(maxsize=4096)
def address(text: str) -> Address:
    """Take an address apart."""
    text = text.replace("#", " apt ")
    if "-" in text:
        text = _ZIP_PLUS_4.sub(r"\1", text)
    segments = [words for part in _BREAK.split(text) if (words := plain(part).split())]
    code, region = _take_tail(segments)
    segments = [words for words in segments if words]
    first = street_words(segments[0]) if segments else []
    town = [word for words in segments[1:] for word in words]
    if len(segments) > 1 and segments[1][0] in _SECOND_LINE:
        first += street_words(segments[1])
        town = [word for words in segments[2:] for word in words]
    if not town:
        first, town = _split_one_line(first)
    first, apartment = _take_unit(first)
    number, road = split_house(" ".join(first))
    return Address(number, road, apartment, city_name(town), region, code)


def _take_tail(segments: list[list[str]]) -> tuple[str, str]:
    """Take postcode and state off the end of the last segments."""
    code = region = ""
    if segments and _is_postcode(segments[-1]) and (len(segments) > 1 or len(segments[-1]) > 1):
        code = postcode(segments[-1].pop())
    elif len(segments) > 1 and len(segments[-1]) > 1 and _is_postcode(segments[-1][:1]):
        code = postcode(segments[-1].pop(0))
    while len(segments) > 1 and not segments[-1]:
        segments.pop()
    if segments and (len(segments) > 1 or len(segments[-1]) > 1):
        region = _take_state(segments[-1])
    return code, region


def _is_postcode(words: list[str]) -> bool:
    return sum(map(str.isdecimal, words[-1])) >= _POSTCODE_DIGITS


def _take_state(words: list[str]) -> str:
    for length in range(min(3, len(words)), 0, -1):
        tail = " ".join(words[-length:])
        if tail in STATES:
            del words[-length:]
            return STATES[tail]
    return words.pop() if words and words[-1] in STATE_CODES else ""


def _split_one_line(words: list[str]) -> tuple[list[str], list[str]]:
    """Without a comma, the street ends at its last street word (and the unit behind it); the rest is the town."""
    ends = [i for i, word in enumerate(words) if word in STREET_ENDS and i > 0]
    if not ends:
        return words, []
    end = ends[-1] + 1
    if words[end : end + 1] and words[end] in UNITS:
        end += 2
    return words[:end], words[end:]


def _take_unit(words: list[str]) -> tuple[list[str], str]:
    """Take "apt 4 b" off a street; an address that is nothing but a unit keeps it as its street."""
    for i, word in enumerate(words):
        if word in UNITS and i > 0 and i + 1 < len(words):
            return words[:i], "".join(words[i + 1 :])
    return words, ""
