"""`python -m tests.bench.dedup [SIZE ...]`: people de-duplication, all methods side by side in one run.

Reads: nothing but seeds (hidden ones: no model was fitted on them). Writes: `build/bench/dedup.json` and the part
`dedup` of results.md, after each size. Again: the same people and pairs; times are those of the moment, so compare them
within a run only. It needs the group `bench` in its environment, and Debian's `postgresql`.

Methods take turns, batch by batch, each in a process of its own; a method's time is the median of its turns, its
quality is that of all batches together. The double loop and `cdist` get some records of one batch.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from jobs.dedup_people.clean import Person
from tests.bench import report, run
from tests.bench.dedup import febrl, goals, loading
from tests.bench.dedup.data import New, Source, cleaned, known, new, stored
from tests.bench.dedup.methods import Task
from tests.bench.dedup.quality import Pooled, of_ours, of_peer
from tests.ledger.servers import postgresql
from tidegate.progress import console, progress

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZES = (10_000, 100_000, 1_000_000)
ROUNDS, NEW, SEED = 3, 1000, 9001
KEPT = 20_000
"""Of the stored people, how many may turn up again."""
SAMPLED = {"double loop": 1_000_000, "cdist": 20_000_000}
"""Comparisons the methods are given that compare everybody; their time for all is extrapolated from them."""
FEWEST = 100
"""New records below which no quality is told of them."""

Figures = dict[str, Any]


def main(sizes: Sequence[int]) -> None:
    """Measure, and write the report after each part."""
    load = os.getloadavg()[0]
    with progress.phase("FEBRL 3 and 4"):
        figures: Figures = {"sizes": [], "febrl": febrl.measure()}
    _keep(figures, load)
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            figures["sizes"].append(_size(size, Path(folder)))
        _keep(figures, load)


def _keep(figures: Figures, load: float) -> None:
    now = os.getloadavg()[0]
    machine = f"{report.host()} (load {load:.0f} when it began, {now:.0f} at the end)"
    report.keep("dedup", figures, where=f"{machine}, PostgreSQL on loopback, {report.commit()}")
    report.write(run.SHOW, {})


def _size(size: int, folder: Path) -> Figures:
    source = Source(SEED + size)
    chosen = set(source.random.sample(range(size), min(size, KEPT)))
    with progress.phase(f"{size:,}: make people"):
        everybody = known(loading.write(folder, stored(source, size)))
        kept = [each for each in everybody if each.number in chosen]
    batches = [new(source, kept, NEW) for _ in range(ROUNDS)]
    with postgresql(shared_buffers="512MB", max_wal_size="4GB") as admin:
        with progress.phase(f"{size:,}: load them"):
            loading.load(admin, folder)
        pooled = _turns(size, batches, folder, admin)
        pull = loading.pull(admin)
    rows = [each.figures(batches) for each in pooled] + [_sampled(name, size, batches[0], folder) for name in SAMPLED]
    for row in rows:
        console.print(f"  {size:,}: {row}", markup=False)
    return {"stored": size, "pull": pull, "rows": rows}


def _turns(size: int, batches: list[list[New]], folder: Path, admin: str) -> list[Pooled]:
    """Every method on every batch, in turns."""
    found = [Pooled("Tidegate, end to end in PostgreSQL", of_ours), Pooled("Splink", of_peer),
             Pooled("recordlinkage", of_peer)]  # fmt: skip
    for number, fresh in enumerate(batches, start=1):
        with progress.phase(f"{size:,}: batch {number} of {len(batches)}"):
            _parquet(folder / "test", fresh)
            found[0].add(_ours(fresh, folder, admin))
            for each in found[1:]:
                each.add(_run(folder, Task(each.method, str(folder / "stored"), str(folder / "test"))))
    return found


def _ours(fresh: list[New], folder: Path, admin: str) -> Figures:
    batch = folder / "batch.jsonl"
    batch.write_text("".join(json.dumps(each.record) + "\n" for each in fresh))
    told = _run(folder, Task("ours", database=admin, batch=batch.as_uri()))
    loading.clear(admin)
    return told


def _sampled(method: str, size: int, fresh: list[New], folder: Path) -> Figures:
    """A method that compares everybody, on some of the new records."""
    few = fresh[: max(2, min(NEW, SAMPLED[method] // size))]
    _parquet(folder / "few", few)
    with progress.phase(f"{size:,}: {method}, {len(few)} records"):
        told = _run(folder, Task(method, str(folder / "stored"), str(folder / "few")))
    told |= {name: told[name] * NEW / len(few) for name in ("seconds", "cpu")}
    pooled = Pooled(_LABELS[method], of_peer)
    pooled.add(told)
    row = pooled.figures([few])
    row["note"] = f"extrapolated from {len(few)} of {NEW} new records; {row['note']}"
    return row if len(few) >= FEWEST else row | dict.fromkeys(("precision", "recall", "f1"))


_LABELS = {"double loop": "reference: double loop, Jaro", "cdist": goals.CDIST}


def _parquet(path: Path, fresh: list[New]) -> None:
    pd.DataFrame([cleaned(each.record) for each in fresh], columns=list(Person._fields)).to_parquet(path)


def _run(folder: Path, task: Task) -> Figures:
    path = folder / "task"
    path.write_bytes(pickle.dumps(task))
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench.dedup.methods", str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    told: Figures = json.loads(done.stdout.splitlines()[-1])
    return told


if __name__ == "__main__":
    main([int(each.replace("_", "")) for each in sys.argv[1:]] or SIZES)
