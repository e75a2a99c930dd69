"""Candidate pairs in memory, with labels: what models are fitted and judged on.

Reads: cleaned people. Writes: index pairs that share a key, in order. Again: the same.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jobs.dedup_people.keys import keys
from jobs.dedup_people.similarity import levels
from tests.bench.dedup.data import Source, cleaned, febrl, known, new, stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from jobs.dedup_people.clean import Person
    from jobs.dedup_people.similarity import Levels

CAP = 300


class Labelled(NamedTuple):
    """Pairs with the truth."""

    left: Sequence[Person]
    right: Sequence[Person]
    pairs: list[tuple[int, int]]
    true: set[tuple[int, int]]

    @property
    def levels(self) -> Levels:
        return levels([self.left[i] for i, _ in self.pairs], [self.right[j] for _, j in self.pairs])

    @property
    def same(self) -> NDArray[np.bool_]:
        return np.array([pair in self.true for pair in self.pairs])


def candidates(left: Sequence[Person], right: Sequence[Person]) -> list[tuple[int, int]]:
    """Pairs (left, right) that share a key."""
    index: dict[int, list[int]] = defaultdict(list)
    for j, person in enumerate(right):
        for key in keys(person):
            index[key].append(j)
    return sorted({(i, j) for i, person in enumerate(left) for key in keys(person) for j in index.get(key, ())[:CAP]})


def within(frame: pd.DataFrame, links: pd.MultiIndex) -> Labelled:
    """One FEBRL table against itself."""
    people, at = febrl(frame), {name: i for i, name in enumerate(frame.index)}
    true = {(min(at[a], at[b]), max(at[a], at[b])) for a, b in links}
    return Labelled(people, people, [(i, j) for i, j in candidates(people, people) if i < j], true)


def between(one: pd.DataFrame, two: pd.DataFrame, links: pd.MultiIndex) -> Labelled:
    """One FEBRL table against another."""
    left, right = febrl(one), febrl(two)
    at, to = ({name: i for i, name in enumerate(frame.index)} for frame in (one, two))
    return Labelled(left, right, candidates(left, right), {(at[a], to[b]) for a, b in links})


def faker(seed: int, size: int, count: int) -> Labelled:
    """`count` new people against `size` stored ones."""
    source = Source(seed)
    old = list(stored(source, size))
    fresh = new(source, list(known(old)), count)
    left, right = [cleaned(each.record) for each in fresh], [cleaned(record) for record in old]
    true = {(i, each.stored) for i, each in enumerate(fresh) if each.stored >= 0}
    return Labelled(left, right, candidates(left, right), true)
