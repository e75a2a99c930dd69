"""One parameter: from its JSON value to its type, within its limits.

Numbers and booleans may come as text, as Airflow's templates write them: `"200"` is 200 where an int is wanted.
"""

# Values and clients have no types before they are looked at; clients are imported when used.
# ruff: noqa: ANN401

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin

from tidegate.step.errors import BadSettings

LIMITS = "limits"
"""Where a parameter's field keeps its limits."""

KINDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list: "a list",
    dict: "an object",
}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a value must keep to; None is no limit."""

    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[Any, ...] = field(default=())
    """The only values there are; empty for any."""

    def kept_by(self, value: Any) -> bool:
        """Whether `value` keeps to all of them; text and lists are measured by their length."""
        if self.choices and value not in self.choices:
            return False
        size = value if isinstance(value, int | float) else len(value)
        return (
            (self.at_least is None or size >= self.at_least)
            and (self.at_most is None or size <= self.at_most)
            and (self.above is None or size > self.above)
            and (self.below is None or size < self.below)
        )

    def __str__(self) -> str:
        names = {"at_least": "at least", "at_most": "at most", "above": "above", "below": "below"}
        words = [f"{words} {getattr(self, name)}" for name, words in names.items() if getattr(self, name) is not None]
        words += [f"one of {', '.join(map(str, self.choices))}"] if self.choices else []
        return " and ".join(words)


def convert(name: str, value: Any, kind: Any, limits: Limits | None) -> Any:
    """`value` as `kind`, within `limits`; BadSettings says what `name` is and what is wanted."""
    wanted = describe(kind, limits)
    if value is None:
        raise BadSettings(f"{name} is not set; want {wanted}")
    shown = json.dumps(value, ensure_ascii=False)
    try:
        converted = _as(kind, value)
    except (TypeError, ValueError):
        raise BadSettings(f"{name} is {shown}; want {wanted}") from None
    if limits is not None and not limits.kept_by(converted):
        raise BadSettings(f"{name} is {shown}; want {wanted}")
    return converted


def describe(kind: Any, limits: Limits | None) -> str:
    """What is wanted, in words: `a whole number, at least 1`."""
    items = f" of {getattr(get_args(kind)[0], '__name__', 'any')}" if get_origin(kind) is list else ""
    unit = " character(s)" if limits and kind is str and not limits.choices else ""
    rules = f", {limits}{unit}" if limits and str(limits) else ""
    return f"{KINDS.get(get_origin(kind) or kind, 'a value')}{items}{rules}"


def _as(kind: Any, value: Any) -> Any:
    origin = get_origin(kind) or kind
    if origin is list:
        return [_as(get_args(kind)[0], item) for item in _loaded(value, list)]
    if origin is dict:
        return _loaded(value, dict)
    return {int: _whole, float: _number, bool: _truth, str: _text}[origin](value)


def _loaded(value: Any, kind: type) -> Any:
    loaded = json.loads(value) if isinstance(value, str) else value
    if not isinstance(loaded, kind):
        raise TypeError
    return loaded


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _whole(value: Any) -> int:
    if isinstance(value, str):
        return int(value)
    number = _number(value)
    if number != int(number):
        raise ValueError
    return int(value)


def _truth(value: Any) -> bool:
    truths = {"true": True, "false": False}
    if isinstance(value, bool):
        return value
    return truths[value.lower()] if isinstance(value, str) and value.lower() in truths else _refuse()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _refuse()


def _refuse() -> Any:
    raise TypeError
