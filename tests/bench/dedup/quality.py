"""What the turns of one method come to: medians of its times, quality over all batches together.

Reads: what each turn told (`seconds`, `cpu`, `peak_mb`, `pairs`), and the batches with their truth.
Writes: one row of figures. Again: the same.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.bench.dedup.data import New

Figures = dict[str, Any]
Pairs = list[tuple[int, int, float]]
Links = set[tuple[int, int]]
STEP = 1_000_000_000
"""New record i of batch n is number n * STEP + i."""


class Judged(NamedTuple):
    """The links a method would make, what there is to say of them, and figures beyond those of every method."""

    found: Links
    note: str
    more: Figures


class Pooled:
    """The turns of one method."""

    def __init__(self, method: str, judge: Callable[[list[Pairs], Sequence[list[New]]], Judged]) -> None:
        self.method, self._judge = method, judge
        self._turns: list[Figures] = []

    def add(self, told: Figures) -> None:
        self._turns.append(told)

    def figures(self, batches: Sequence[list[New]]) -> Figures:
        """One row."""
        found, note, more = self._judge([turn["pairs"] for turn in self._turns], batches)
        times = {name: median(turn[name] for turn in self._turns) for name in ("seconds", "cpu")}
        peak = max(turn["peak_mb"] for turn in self._turns)
        quality = measure(found, truth(batches)) | more
        return {"method": self.method, **times, "peak_mb": peak, **quality, "note": note}


def truth(batches: Sequence[list[New]]) -> Links:
    return {(n * STEP + i, each.stored) for n, i, each in _each(batches) if each.stored >= 0}


def _each(batches: Sequence[list[New]]) -> list[tuple[int, int, New]]:
    return [(n, i, each) for n, batch in enumerate(batches) for i, each in enumerate(batch)]


def measure(found: Links, true: Links) -> dict[str, float]:
    right = len(found & true)
    precision, recall = right / max(1, len(found)), right / max(1, len(true))
    return {"precision": precision, "recall": recall, "f1": 2 * right / max(1, len(found) + len(true))}


def of_ours(turns: list[Pairs], batches: Sequence[list[New]]) -> Judged:
    """Best candidates at a score of 0.5 or more; a score above 1 is a match that nobody has to confirm."""
    pairs = [
        # Somebody that was inserted a moment ago from this very batch counts as whom they are.
        (n * STEP + i, batch[-1 - j].stored if j < 0 else j, score)
        for n, (told, batch) in enumerate(zip(turns, batches, strict=True))
        for i, j, score in told
    ]
    sure = {(i, j) for i, j, score in pairs if score > 1}
    alone, review = measure(sure, truth(batches)), (len(pairs) - len(sure)) / sum(map(len, batches))
    note = f"by itself: precision {alone['precision']:.4f}, recall {alone['recall']:.3f}; to review {review:.1%}"
    more = {"precision_alone": alone["precision"], "review": review}
    return Judged({(i, j) for i, j, score in pairs if score >= 0.5}, note, more)


def of_peer(turns: list[Pairs], batches: Sequence[list[New]]) -> Judged:
    """Each new record's best candidate, at the threshold with the highest F1 by the labels."""
    best: dict[int, tuple[int, float]] = {}
    every = [(n * STEP + i, j, score) for n, told in enumerate(turns) for i, j, score in told]
    for i, j, score in sorted(every, key=lambda each: (-each[2], each[1])):
        best.setdefault(i, (j, score))
    levels, true = sorted({round(score, 2) for _, score in best.values()}), truth(batches)
    at = {level: {(i, j) for i, (j, score) in best.items() if score >= level} for level in levels}
    level = max(levels, key=lambda each: measure(at[each], true)["f1"])
    return Judged(at[level], f"at its best threshold, {level:.2f}", {})
