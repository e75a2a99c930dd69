"""How alike two people are, field by field, for many pairs at once.

Reads: two equally long lists of `Person`.
Writes: Jaro and Jaro-Winkler per field, and the level (a small number) each comparison falls into.
Again: the same numbers; swapping left and right changes nothing.

Jaro's greedy matching is not symmetric in general, so every pair of texts is compared in sorted order.
A missing field is level 0 and weighs nothing: rapidfuzz would call two empty texts equal.
"""

from __future__ import annotations

from operator import eq
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
    return _Column(left, right).alike(JaroWinkler.similarity)


def jaro(left: Sequence[str], right: Sequence[str]) -> Floats:
    """Jaro similarity in [0, 1] of each pair of texts; 0 where one is empty."""
    return _Column(left, right).alike(Jaro.similarity)


def likeness(left: Sequence[str], right: Sequence[str]) -> list[dict[str, float] | None]:
    """{"jaro": ..., "jaro_winkler": ...} of each pair of texts, to four decimals; None where one is empty."""
    column = _Column(left, right)
    one, two = (np.round(column.alike(scorer).astype(np.float64), 4).tolist()
                for scorer in (Jaro.similarity, JaroWinkler.similarity))  # fmt: skip
    return [
        {"jaro": a, "jaro_winkler": b} if known else None
        for known, a, b in zip(column.known.tolist(), one, two, strict=True)
    ]


class _Column:
    """Pairs of texts, and which of them need to be looked at letter by letter: most are equal, or lack one side."""

    def __init__(self, left: Sequence[str], right: Sequence[str]) -> None:
        self.left, self.right = left, right
        self.equal = np.fromiter(map(eq, left, right), np.bool_, len(left))
        self.known = np.fromiter(map(bool, left), np.bool_, len(left))
        self.known &= np.fromiter(map(bool, right), np.bool_, len(left))
        self.differ = np.flatnonzero(self.known & ~self.equal)

    def alike(self, scorer: Callable[..., float]) -> Floats:
        """Similarity by `scorer`."""
        same = (self.known & self.equal).astype(np.float32)
        pairs = [(self.left[i], self.right[i]) for i in self.differ.tolist()]
        low, high = [a if a < b else b for a, b in pairs], [b if a < b else a for a, b in pairs]
        same[self.differ] = cpdist(low, high, scorer=scorer, dtype=np.float32)
        return same

    def edits(self) -> NDArray[np.int32]:
        """Edits (OSA) between the two of each pair that is known and not equal, else 0."""
        found = np.zeros(len(self.left), np.int32)
        left, right = ([texts[i] for i in self.differ.tolist()] for texts in (self.left, self.right))
        found[self.differ] = cpdist(left, right, scorer=OSA.distance, dtype=np.int32)
        return found

    def levels(self, same: Floats, steps: tuple[float, ...]) -> Levels:
        """0 unknown, 1 equal, then one level a step downwards, and the last for everything below."""
        found = np.full(len(same), len(steps) + 2, np.int8)
        for level in range(len(steps), 0, -1):
            found[same >= steps[level - 1]] = level + 1
        found[self.equal] = 1
        found[~self.known] = 0
        return found


def levels(left: Sequence[Person], right: Sequence[Person]) -> Levels:
    """The level of every comparison, one row a pair, one column a comparison in the order of `COMPARISONS`."""
    if not left:
        return np.empty((0, len(COMPARISONS)), np.int8)
    one: list[Sequence[str]] = list(zip(*left, strict=True))
    two: list[Sequence[str]] = list(zip(*right, strict=True))
    first, last, swap = _names(one[0], one[1], two[0], two[1])
    (s1, u1), (s2, u2) = _places(one[3], one[4], two[3], two[4])
    columns = [
        first,
        last,
        swap,
        _number_levels(one[2], two[2], most=1),
        _text_levels(s1, s2, steps=(0.95, 0.88, 0.75)),
        _unit_levels(u1, u2),
        _text_levels(_joined(one[5]), _joined(two[5]), steps=(0.92, 0.8)),
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
    at = [i for i, (a, b) in enumerate(zip(u1, u2, strict=True)) if (a or b) and (is_named(a) or is_named(b))]
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
    firsts, lasts = _Column(f1, f2), _Column(l1, l2)
    ff, ll = firsts.alike(JaroWinkler.similarity), lasts.alike(JaroWinkler.similarity)
    first, last, swap = _name_levels(firsts, ff), _name_levels(lasts, ll), np.zeros(len(ff), np.int8)
    maybe = np.flatnonzero(ff + ll + _SWAPPED_BY < 2)  # noqa: PLR2004 - the most that two crossed can have
    a, b, c, d = ([texts[i] for i in maybe.tolist()] for texts in (f1, l2, l1, f2))
    one, two = _Column(a, b), _Column(c, d)
    fl, lf = one.alike(JaroWinkler.similarity), two.alike(JaroWinkler.similarity)
    crossed = (np.minimum(fl, lf) >= _ALIKE) & (fl + lf > ff[maybe] + ll[maybe] + _SWAPPED_BY)
    both, at = np.sort([_name_levels(one, fl), _name_levels(two, lf)], axis=0)[:, crossed], maybe[crossed]
    first[at], last[at], swap[at] = both[1], both[0], 1
    return first, last, swap


def _name_levels(names: _Column, same: Floats) -> Levels:
    """0 unknown, 1 equal, 2 .95, 3 .88, 4 one is an initial or beginning of the other, 5 .75, 6 other."""
    found = names.levels(same, (0.95, 0.88))
    found[found == 4] = 6  # noqa: PLR2004 - the last of the four levels of two steps
    found[(found == 6) & (same >= 0.75)] = 5  # noqa: PLR2004 - see the docstring
    pairs = [(names.left[i], names.right[i]) for i in names.differ.tolist()]
    found[names.differ[[a.startswith(b) or b.startswith(a) for a, b in pairs]]] = 4
    return found


def _text_levels(left: Sequence[str], right: Sequence[str], *, steps: tuple[float, ...]) -> Levels:
    texts = _Column(left, right)
    return texts.levels(texts.alike(JaroWinkler.similarity), steps)


def _number_levels(left: Sequence[str], right: Sequence[str], *, most: int) -> Levels:
    """0 unknown, 1 equal, 2 one edit, ... up to `most` edits, then one level for all others."""
    numbers = _Column(left, right)
    found = np.minimum(numbers.edits(), most + 1) + 1
    found[~numbers.known] = 0
    return found.astype(np.int8)


def _unit_levels(left: Sequence[str], right: Sequence[str]) -> Levels:
    """0 both unknown, 1 equal, 2 one edit, 3 other, 4 known on one side only."""
    units = _Column(left, right)
    found = np.minimum(units.edits(), 2) + 1
    found[~units.known & ~units.equal] = 4
    found[~units.known & units.equal] = 0
    return found.astype(np.int8)
