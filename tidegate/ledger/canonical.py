"""JSON in exactly one form, so that equal values have equal bytes and others never do.

Types are exact: 1, 1.0, true and "1" are four values. The order of an object's names does not matter, that of a
list does. Nothing is guessed: a value JSON cannot hold is refused with its place in the whole.
"""

from __future__ import annotations

import json
import math
from hashlib import sha256
from typing import TypeAlias

from tidegate.ledger.errors import BadKey

Json: TypeAlias = "bool | int | float | str | list[Json] | tuple[Json, ...] | dict[str, Json] | None"
"""What JSON can hold; a tuple counts as a list."""


def canonical(value: object, *, name: str = "value") -> str:
    """`value` as ASCII JSON without spaces and with sorted names; `name` is what an error calls it.

    Raises:
        BadKey: something in it is no JSON, not finite, or an object's name is no text.
    """
    _check(value, name)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(value: object, *, name: str = "value") -> str:
    """The sha256 of the canonical form, 64 hexadecimal digits."""
    return sha256(canonical(value, name=name).encode("ascii")).hexdigest()


def _check(value: object, place: str) -> None:
    if isinstance(value, dict):
        _check_names(value, place)
        for name, item in value.items():
            _check(item, f"{place}.{name}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check(item, f"{place}[{index}]")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise BadKey(f"{place} is {value}, which JSON cannot hold; give a finite number")
    elif not isinstance(value, str | int | None):
        raise BadKey(
            f"{place} is a {type(value).__name__}; give text, a number, true, false, null, a list or an object"
        )


def _check_names(value: dict[object, object], place: str) -> None:
    """`{1: …}` would become `{"1": …}`, and two values would share one form."""
    for name in value:
        if not isinstance(name, str):
            raise BadKey(f"{place} has the name {name!r}, a {type(name).__name__}; names are text: write {str(name)!r}")
