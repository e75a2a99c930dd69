"""How alike two people are, field by field, for many pairs at once.

Reads: two equally long lists of `Person`.
Writes: Jaro and Jaro-Winkler per field, and the level (a small number) each comparison falls into.
Again: the same numbers; swapping left and right changes nothing.

Jaro's greedy matching is not symmetric in general, so every pair of texts is compared in sorted order.
A missing field is level 0 and weighs nothing: rapidfuzz would call two empty texts equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rapidfuzz.distance import OSA, Jaro, JaroWinkler
from rapidfuzz.process import cpdist

from jobs.dedup_people.keys import is_named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from jobs.dedup_people.clean import Person

    Floats = NDArray[np.float32]
    Levels = NDArray[np.int8]

COMPARISONS = {"first": 7, "last": 7, "swap": 2, "house": 4, "street": 6, "unit": 5, "city": 5, "state": 3, "zip": 5}
"""How many levels each comparison has; level 0 is "unknown", 1 the best."""

_SWAPPED_BY = 0.25
_ALIKE = 0.85


def jaro_winkler(left: Sequence[str], right: Sequence[str]) -> Floats:
    """Jaro-Winkler similarity in [0, 1] of each pair of texts; 0 where one is empty."""
    return _compare(left, right, JaroWinkler.similarity)


def jaro(left: Sequence[str], right: Sequence[str]) -> Floats:
    """Jaro similarity in [0, 1] of each pair of texts; 0 where one is empty."""
    return _compare(left, right, Jaro.similarity)


def _compare(left: Sequence[str], right: Sequence[str], scorer: Callable[..., float]) -> Floats:
    low = [a if a <= b else b for a, b in zip(left, right, strict=True)]
    high = [b if a <= b else a for a, b in zip(left, right, strict=True)]
    same: Floats = cpdist(low, high, scorer=scorer, dtype=np.float32)
    same[[not a for a in low]] = 0  # "" sorts first
    return same


def _edits(left: Sequence[str], right: Sequence[str]) -> NDArray[np.int32]:
    edits: NDArray[np.int32] = cpdist(left, right, scorer=OSA.distance, dtype=np.int32)
    return edits


def levels(left: Sequence[Person], right: Sequence[Person]) -> Levels:
    """The level of every comparison, one row a pair, one column a comparison in the order of `COMPARISONS`."""
    if not left:
        return np.empty((0, len(COMPARISONS)), np.int8)
    one: list[Sequence[str]] = list(zip(*left, strict=True))
    two: list[Sequence[str]] = list(zip(*right, strict=True))
    first, last, swap = _names(one[0], one[1], two[0], two[1])
    one[5], two[5] = _joined(one[5]), _joined(two[5])
    one[3:5], two[3:5] = _places(one[3], one[4], two[3], two[4])
    columns = [
        first,
        last,
        swap,
        _number_levels(one[2], two[2], most=1),
        _text_levels(one[3], two[3], steps=(0.95, 0.88, 0.75)),
        _unit_levels(one[4], two[4]),
        _text_levels(one[5], two[5], steps=(0.92, 0.8)),
        _number_levels(one[6], two[6], most=0),
        _number_levels(one[7], two[7], most=2),
    ]
    return np.column_stack(columns).astype(np.int8)


def _joined(texts: Sequence[str]) -> list[str]:
    """Without blanks, which people put anywhere."""
    return [text.replace(" ", "") for text in texts]


def _places(s1: Sequence[str], u1: Sequence[str], s2: Sequence[str], u2: Sequence[str]) -> tuple[Any, Any]:
    """Streets and units; where a building's name stands for the street on one side, both are put right."""
    s1, u1, s2, u2 = _joined(s1), _joined(u1), _joined(s2), _joined(u2)
    at = [i for i, (a, b) in enumerate(zip(u1, u2, strict=True)) if is_named(a) or is_named(b)]
    if at:
        a, b, c, d = ([column[i] for i in at] for column in (s1, u1, s2, u2))
        ad, bc = jaro_winkler(a, d), jaro_winkler(b, c)
        for n in np.flatnonzero(ad + bc > jaro_winkler(a, c) + jaro_winkler(b, d) + _SWAPPED_BY):
            # The likelier of the two is the street: a rule that does not ask which side is left.
            ranked = sorted([(-ad[n], sorted([a[n], d[n]]), a[n], d[n]), (-bc[n], sorted([b[n], c[n]]), b[n], c[n])])
            (*_, s1[at[n]], s2[at[n]]), (*_, u1[at[n]], u2[at[n]]) = ranked
    return (s1, u1), (s2, u2)


def _names(f1: Sequence[str], l1: Sequence[str], f2: Sequence[str], l2: Sequence[str]) -> tuple[Levels, ...]:
    """Names straight, or crossed where that fits clearly better; for the crossed, "first" is the weaker of the two."""
    ff, ll = jaro_winkler(f1, f2), jaro_winkler(l1, l2)
    fl, lf = jaro_winkler(f1, l2), jaro_winkler(l1, f2)
    crossed = (np.minimum(fl, lf) >= _ALIKE) & (fl + lf > ff + ll + _SWAPPED_BY)
    first, last = _name_levels(f1, f2, ff), _name_levels(l1, l2, ll)
    one, two = _name_levels(f1, l2, fl), _name_levels(l1, f2, lf)
    first = np.where(crossed, np.maximum(one, two), first)
    last = np.where(crossed, np.minimum(one, two), last)
    return first.astype(np.int8), last.astype(np.int8), crossed.astype(np.int8)


def _name_levels(left: Sequence[str], right: Sequence[str], same: Floats) -> Levels:
    """0 unknown, 1 equal, 2 .95, 3 .88, 4 one is an initial or beginning of the other, 5 .75, 6 other."""
    found = _by_steps(left, right, same, steps=(0.95, 0.88))
    starts = [a.startswith(b) or b.startswith(a) for a, b in zip(left, right, strict=True)]
    found[found == 4] = 6  # noqa: PLR2004 - the last of the four levels of two steps
    found[(found == 6) & (same >= 0.75)] = 5  # noqa: PLR2004 - see the docstring
    found[(found > 1) & np.array(starts, dtype=bool)] = 4
    return found


def _text_levels(left: Sequence[str], right: Sequence[str], *, steps: tuple[float, ...]) -> Levels:
    return _by_steps(left, right, jaro_winkler(left, right), steps=steps)


def _by_steps(left: Sequence[str], right: Sequence[str], same: Floats, *, steps: tuple[float, ...]) -> Levels:
    """0 unknown, 1 equal, then one level a step downwards, and the last for everything below."""
    found = np.full(len(same), len(steps) + 2, np.int8)
    for level in range(len(steps), 0, -1):
        found[same >= steps[level - 1]] = level + 1
    found[[a == b for a, b in zip(left, right, strict=True)]] = 1
    return _unknown(found, left, right)


def _number_levels(left: Sequence[str], right: Sequence[str], *, most: int) -> Levels:
    """0 unknown, 1 equal, 2 one edit, ... up to `most` edits, then one level for all others."""
    found = np.minimum(_edits(left, right), most + 1).astype(np.int8) + 1
    return _unknown(found.astype(np.int8), left, right)


def _unit_levels(left: Sequence[str], right: Sequence[str]) -> Levels:
    """0 both unknown, 1 equal, 2 one edit, 3 other, 4 known on one side only."""
    found = np.minimum(_edits(left, right), 2).astype(np.int8) + 1
    found = found.astype(np.int8)
    found[[bool(a) != bool(b) for a, b in zip(left, right, strict=True)]] = 4
    found[[not a and not b for a, b in zip(left, right, strict=True)]] = 0
    return found


def _unknown(found: Levels, left: Sequence[str], right: Sequence[str]) -> Levels:
    found[[not (a and b) for a, b in zip(left, right, strict=True)]] = 0
    return found
