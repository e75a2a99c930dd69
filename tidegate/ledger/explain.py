"""Which field of a key differs from the nearest earlier row: why a step ran, in terms of what someone changed.

Pure. The nearest row is the one with the fewest differences; among equals the newest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegate.ledger.canonical import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidegate.ledger.model import Row


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One field of a key; `was` or `now` is None where the field was or is not there."""

    field: str
    """Its place, like `params.n_estimators`."""
    was: str | None
    """As canonical JSON: `1` and `"1"` are told apart."""
    now: str | None

    def __str__(self) -> str:
        """For people."""
        if self.was is None:
            return f"{self.field} is new: {self.now}"
        return (
            f"{self.field} is gone, was {self.was}"
            if self.now is None
            else f"{self.field} was {self.was}, is {self.now}"
        )


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Difference, ...]:
    """All fields in which two keys' parts differ, by name."""
    return tuple(_differences("", was, now))


def nearest(parts: Mapping[str, Any], rows: Sequence[Row]) -> tuple[Row | None, tuple[Difference, ...]]:
    """Of `rows`, newest first, the one most like `parts`, and in what it differs."""
    compared = [(row, differences(row.parts, parts)) for row in rows]
    return min(compared, key=lambda pair: len(pair[1]), default=(None, ()))


def told(found: Row | None, changes: Sequence[Difference]) -> str:
    """One line: what changed since which row."""
    if found is None:
        return "the first of its step"
    return "; ".join(map(str, changes)) + f" (since row {found.id})" if changes else f"the same as row {found.id}"


def _differences(place: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted({*was, *now}):
        field = f"{place}.{name}" if place else name
        if name in was and name in now and isinstance(was[name], Mapping) and isinstance(now[name], Mapping):
            yield from _differences(field, was[name], now[name])
            continue
        old, new = (canonical(side[name]) if name in side else None for side in (was, now))
        if old != new:
            yield Difference(field=field, was=old, now=new)
