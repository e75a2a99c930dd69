"""`python -m tests.bench.dedup [SIZE ...]`: people de-duplication, all methods side by side in one run.

Reads: nothing but seeds (hidden ones: no model was fitted on them). Writes: `build/bench/dedup.json` and the part
`dedup` of results.md, after each size. Again: the same people and pairs; times are those of the moment, so compare them
within a run only. It needs the group `bench` in its environment, and Debian's `postgresql`.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from jobs.dedup_people.clean import Person
from tests.bench import report, run
from tests.bench.dedup import febrl, loading
from tests.bench.dedup.data import New, Source, cleaned, new, stored
from tests.bench.dedup.methods import Task
from tests.ledger.servers import postgresql
from tidegate.progress import console

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZES = (10_000, 100_000, 1_000_000)
NEW, SEED = 1000, 9001
KEPT = 20_000
"""Of the stored people, how many may turn up again."""
LOOP = 1_000_000
"""Comparisons the double loop is given; its time for all is extrapolated from them."""
FEWEST = 100
"""New records below which no quality is told of the loop."""

Figures = dict[str, Any]
Pairs = list[tuple[int, int, float]]


class Set(NamedTuple):
    """One size's files."""

    size: int
    folder: Path
    test: list[New]


def main(sizes: Sequence[int]) -> None:
    """Measure, and write the report after each part."""
    figures: Figures = {"sizes": [], "febrl": febrl.measure()}
    _keep(figures)
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            figures["sizes"].append({"stored": size, "rows": _size(size, Path(folder))})
        _keep(figures)


def _keep(figures: Figures) -> None:
    where = f"{report.host()} (load {os.getloadavg()[0]:.0f}), PostgreSQL on loopback, {report.commit()}"
    report.keep("dedup", figures, where=where)
    report.write(run.SHOW, {})


def _size(size: int, folder: Path) -> list[Figures]:
    source = Source(SEED + size)
    chosen = set(source.random.sample(range(size), min(size, KEPT)))
    everybody = enumerate(loading.write(folder, stored(source, size)))
    kept = [(i, record) for i, record in everybody if i in chosen]
    made = Set(size, folder, new(source, kept, NEW))
    _parquet(folder / "test", [cleaned(each.record) for each in made.test])
    rows = []
    for row in (_ours(made), _splink(made), _recordlinkage(made), _loop(made)):
        console.print(f"{size:,}: {row}", markup=False)
        rows.append(row)
    return rows


def _parquet(path: Path, people: list[Person]) -> None:
    pd.DataFrame(people, columns=list(Person._fields)).to_parquet(path)


def _run(folder: Path, task: Task) -> Figures:
    path = folder / "task"
    path.write_bytes(pickle.dumps(task))
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench.dedup.methods", str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    told: Figures = json.loads(done.stdout.splitlines()[-1])
    return told


def _ours(made: Set) -> Figures:
    with postgresql(shared_buffers="512MB", max_wal_size="4GB") as admin:
        loading.load(admin, made.folder)
        batch = made.folder / "batch.jsonl"
        batch.write_text("".join(json.dumps(each.record) + "\n" for each in made.test))
        told = _run(made.folder, Task("ours", database=admin, batch=batch.as_uri()))
    # Somebody that was inserted a moment ago from this very batch counts as whom they are.
    pairs = [(i, made.test[-1 - j].stored if j < 0 else j, score) for i, j, score in told["pairs"]]
    found = {(i, j) for i, j, score in pairs if score >= 0.5}
    sure = {(i, j) for i, j, score in pairs if score > 1}
    alone, review = _quality(sure, made.test), (len(pairs) - len(sure)) / NEW
    note = f"by itself: precision {alone['precision']:.4f}, recall {alone['recall']:.3f}; to review {review:.1%}"
    return _figures("Tidegate, end to end in PostgreSQL", told, _quality(found, made.test), note)


def _splink(made: Set) -> Figures:
    return _peer("Splink", "Splink", made)


def _recordlinkage(made: Set) -> Figures:
    return _peer("recordlinkage", "recordlinkage", made)


def _peer(method: str, label: str, made: Set) -> Figures:
    told = _run(made.folder, Task(method, str(made.folder / "stored"), str(made.folder / "test")))
    found, level = _at_best(told["pairs"], made.test)
    return _figures(label, told, _quality(found, made.test), f"at its best threshold, {level:.2f}")


def _loop(made: Set) -> Figures:
    """The reference's own method on some of the new records."""
    count = max(2, min(NEW, LOOP // made.size))
    few = made.test[:count]
    _parquet(made.folder / "few", [cleaned(each.record) for each in few])
    told = _run(made.folder, Task("double loop", str(made.folder / "stored"), str(made.folder / "few")))
    told |= {name: told[name] * NEW / count for name in ("seconds", "cpu")}
    found, level = _at_best(told["pairs"], few)
    quality = _quality(found, few) if count >= FEWEST else {}
    note = f"extrapolated from {count} of {NEW} new records; at its best threshold, {level:.2f}"
    return _figures("reference: double loop, Jaro", told, quality, note)


def _at_best(pairs: Pairs, fresh: list[New]) -> tuple[set[tuple[int, int]], float]:
    """Each new record's best candidate, at the threshold with the highest F1 by the labels."""
    best: dict[int, tuple[int, float]] = {}
    for i, j, score in sorted(pairs, key=lambda each: (-each[2], each[1])):
        best.setdefault(i, (j, score))
    levels = sorted({round(score, 2) for _, score in best.values()})
    at = {level: {(i, j) for i, (j, score) in best.items() if score >= level} for level in levels}
    level = max(levels, key=lambda each: _quality(at[each], fresh)["f1"])
    return at[level], level


def _quality(found: set[tuple[int, int]], fresh: list[New]) -> dict[str, float]:
    true = {(i, each.stored) for i, each in enumerate(fresh) if each.stored >= 0}
    right = len(found & true)
    precision, recall = right / max(1, len(found)), right / max(1, len(true))
    return {"precision": precision, "recall": recall, "f1": 2 * right / max(1, len(found) + len(true))}


def _figures(method: str, told: Figures, quality: dict[str, float], note: str) -> Figures:
    measured = {name: told[name] for name in ("seconds", "cpu", "peak_mb")}
    return {"method": method, **measured, **quality, "note": note}


if __name__ == "__main__":
    main([int(each.replace("_", "")) for each in sys.argv[1:]] or SIZES)
