"""Learn a model from labelled pairs of one's own population.

Reads: levels of candidate pairs and whether each is one person.
Writes: a `Model`; save its `to_json()` and give it to the step as the input `model`.
Again: the same pairs give the same weights.

Logistic regression with a ridge (Newton's method, numpy only). What is learned are log odds given that a pair shares a
key, so the pairs must come from the keys too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jobs.dedup_people.model import Model, cells, names, width

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jobs.dedup_people.similarity import Levels

_BITS = 1 / np.log(2)


def fit(found: Levels, same: NDArray[np.bool_], *, version: str, ridge: float = 1.0, rounds: int = 40) -> Model:
    """Weights that make `same` likeliest given `found`; `ridge` pulls all but the bias towards 0."""
    columns = _columns(found)
    weights: NDArray[np.float64] = np.zeros(columns.shape[1])
    pull = np.full(len(weights), ridge)
    pull[0] = 1e-6
    for _ in range(rounds):
        step = _newton(columns, same, weights, pull)
        weights = weights - step
        if np.abs(step).max() < 1e-6:  # noqa: PLR2004 - far below the four decimals kept
            break
    return _model(weights * _BITS, version)


def _newton(columns: NDArray[np.float64], same: NDArray[np.bool_], weights: NDArray[np.float64],
            pull: NDArray[np.float64]) -> NDArray[np.float64]:  # fmt: skip
    likely = np.asarray(1 / (1 + np.exp(-np.clip(columns @ weights, -30.0, 30.0))), np.float64)
    slope = columns.T @ (likely - same) + pull * weights
    bend = (columns.T * (likely * (1 - likely) + 1e-9)) @ columns + np.diag(pull)
    return np.asarray(np.linalg.solve(bend, slope), np.float64)


def _sizes() -> list[int]:
    split = [name.partition("*") for name in names()]
    return [width(one) * (width(two) if two else 1) for one, _, two in split]


def _columns(found: Levels) -> NDArray[np.float64]:
    """One column for the bias, then one for every cell of every table."""
    hot = [np.eye(size)[cells(name, found)] for name, size in zip(names(), _sizes(), strict=True)]
    return np.hstack([np.ones((len(found), 1)), *hot])


def _model(weights: NDArray[np.float64], version: str) -> Model:
    ends = np.cumsum(_sizes())[:-1]
    tables = dict(zip(names(), np.split(weights[1:], ends), strict=True))
    return Model(version, float(weights[0]), tables)
