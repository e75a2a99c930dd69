"""What agreement is worth: from the levels of a pair to the log2 odds that both are one person.

Reads: `model.json` beside this file, or another that `fit` made of labelled pairs of one's own population.
Writes: bits (log2 odds) for many pairs at once; `probability` turns them into a score in [0, 1].
Again: the same bits: only table look-ups and sums in a fixed order.

One table a comparison and one for each two comparisons that do not speak independently: first and last name (an equal
last name and address with another first name is a household, not a person), house and street, city and postcode.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs.dedup_people.similarity import COMPARISONS, levels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from jobs.dedup_people.clean import Person
    from jobs.dedup_people.similarity import Levels

    Bits = NDArray[np.float64]

TOGETHER = (("first", "last"), ("house", "street"), ("city", "zip"), ("house", "unit"), ("last", "swap"))
"""Comparisons whose levels have a table in common."""

_ORDER = {name: at for at, name in enumerate(COMPARISONS)}
_SLICE = 50_000
"""Pairs compared at a time: bounds the memory of a chunk that meets crowded keys."""


@dataclass(frozen=True)
class Model:
    """Weights in bits; `version` is stored with every batch."""

    version: str
    bias: float
    tables: dict[str, NDArray[np.float64]]
    """By comparison, or "first*last" for two: one weight a level, or a level by level matrix, flat."""

    def bits(self, found: Levels) -> Bits:
        """Log2 odds of each row of levels, to a hundredth."""
        total = np.full(len(found), self.bias)
        for name, table in self.tables.items():
            total += table[cells(name, found)]
        weak = _weak(found)
        total[weak] = np.minimum(total[weak], 0.0)
        return np.round(total, 2)

    def compare(self, left: Sequence[Person], right: Sequence[Person]) -> Bits:
        """Log2 odds that left and right are one person, pair by pair."""
        slices = range(0, len(left), _SLICE)
        found = [self.bits(levels(left[i : i + _SLICE], right[i : i + _SLICE])) for i in slices]
        return np.concatenate(found) if found else np.empty(0)

    def to_json(self) -> str:
        """What `load` reads."""
        tables = {name: np.round(table, 4).tolist() for name, table in self.tables.items()}
        return json.dumps({"version": self.version, "bias": round(self.bias, 4), "tables": tables}, indent=1)


def _weak(found: Levels) -> NDArray[np.bool_]:
    """Pairs with no name or neither street nor postcode to compare: however equal, never sure."""
    unknown = {name: found[:, _ORDER[name]] == 0 for name in ("first", "last", "street", "zip")}
    weak: NDArray[np.bool_] = (unknown["first"] & unknown["last"]) | (unknown["street"] & unknown["zip"])
    return weak


def cells(name: str, found: Levels) -> NDArray[np.intp]:
    """Which cell of the table `name` each pair falls into."""
    one, _, two = name.partition("*")
    cell = found[:, _ORDER[one]].astype(np.intp)
    return cell * width(two) + found[:, _ORDER[two]] if two else cell


def width(name: str) -> int:
    """Cells of a comparison: its levels and "unknown"."""
    return COMPARISONS[name] + 1


def names() -> list[str]:
    """The tables every model has."""
    return [*COMPARISONS, *(f"{one}*{two}" for one, two in TOGETHER)]


def load(text: str) -> Model:
    """A model from its JSON; ValueError says what does not fit this version's comparisons."""
    read: dict[str, Any] = json.loads(text)
    tables = {name: np.asarray(read["tables"].get(name, ()), np.float64) for name in names()}
    for name, table in tables.items():
        one, _, two = name.partition("*")
        wanted = width(one) * (width(two) if two else 1)
        if table.shape != (wanted,) or not np.isfinite(table).all():
            raise ValueError(f"table {name!r} has shape {table.shape}; want {wanted} finite numbers")
    return Model(str(read["version"]), float(read["bias"]), tables)


@cache
def shipped() -> Model:
    """The model in the image: people of the USA by name and address, households told apart."""
    return load(Path(__file__).with_name("model.json").read_text(encoding="utf-8"))


def probability(bits: float) -> float:
    """Log2 odds as a probability in [0, 1]."""
    return float(1 / (1 + 2.0 ** -max(-60.0, min(60.0, bits))))


def bits_of(score: float) -> float:
    """A probability as log2 odds; 0 and 1 are 60 bits away."""
    return float(np.log2(max(score, 2.0**-60) / max(1 - score, 2.0**-60)))
