"""`python -m tests.bench.dedup [SIZE ...]`: the table in tests/bench/results.md, all methods side by side in one run.

Reads: nothing but seeds (hidden ones: no model was fitted on them). Writes: the section "dedup" of results.md.
Again: the same people and pairs; times are those of the moment, so compare them within a run only.
"""

from __future__ import annotations

import json
import os
import pickle
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from jobs._people.database import connect, migrate
from jobs.dedup_people.clean import Person
from jobs.dedup_people.keys import keys
from jobs.dedup_people.store import fingerprint
from tests.bench.dedup.data import New, Record, Source, cleaned, new, stored
from tests.bench.dedup.febrl import febrl_rows
from tests.bench.dedup.methods import Task
from tests.jobs.people.server import postgres

if TYPE_CHECKING:
    import psycopg

RESULTS = Path(__file__).resolve().parents[1] / "results.md"
NEW, SEED = 1000, 9001
Quality = tuple[float, float, float]
LOOP = 1_000_000
"""Comparisons the double loop is given; its time for all is extrapolated from them."""


class Set(NamedTuple):
    """One size's files."""

    size: int
    folder: Path
    test: list[New]
    tune: list[New]


def main(sizes: list[int]) -> None:
    lines = [HEAD]
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            lines += _size(size, Path(folder))
    _write("\n".join([*lines, "", *febrl_rows(), "", NOTES]))


def _size(size: int, folder: Path) -> list[str]:
    source = Source(SEED + size)
    old = list(stored(source, size))
    sample = [(i, old[i]) for i in source.random.sample(range(size), min(size, 20_000))]
    made = Set(size, folder, new(source, sample, NEW), new(source, sample, NEW))
    _parquet(folder / "stored", [cleaned(record) for record in old])
    for name in ("test", "tune"):
        _parquet(folder / name, [cleaned(each.record) for each in getattr(made, name)])
    rows = [_ours(made, old), _peer("Splink", made), _peer("recordlinkage", made), _loop(made)]
    for row in rows:
        sys.stderr.write(row + "\n")
    return rows


def _parquet(path: Path, people: list[Person]) -> None:
    pd.DataFrame(people, columns=list(Person._fields)).to_parquet(path)


def _run(folder: Path, task: Task) -> dict[str, object]:
    path = folder / "task"
    path.write_bytes(pickle.dumps(task))
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench.dedup.methods", str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout.splitlines()[-1])


def _ours(made: Set, old: list[Record]) -> str:
    with postgres(shared_buffers="512MB", max_wal_size="4GB") as server:
        database = server.database()
        _load(database, old)
        batch = made.folder / "batch.jsonl"
        batch.write_text("".join(json.dumps(each.record) + "\n" for each in made.test))
        told = _run(made.folder, Task("ours", database=database, batch=batch.as_uri()))
    pairs = [(i, made.test[-1 - j].stored if j < 0 else j, score) for i, j, score in told["pairs"]]
    one = _quality({(i, j) for i, j, score in pairs if score >= 0.5}, made.test)
    sure = {(i, j) for i, j, score in pairs if score > 1}
    review = (len(pairs) - len(sure)) / NEW
    precise, found, _ = _quality(sure, made.test)
    note = f"alone: precision {precise:.4f}, recall {found:.3f}; to review {review:.1%}"
    return _row(made.size, "Tidegate, end to end in PostgreSQL", told, one, note)


def _load(database: str, old: list[Record]) -> None:
    """The stored people, as if earlier batches had inserted them; not timed."""
    with connect(database) as connection:
        migrate(connection)
        batch = "00000000-0000-0000-0000-000000000000"
        connection.execute("insert into people.batch values (%s, '', 1, 'load', 'load', 'done', '{}')", [batch])
        with connection.transaction():
            _copy(connection, old, batch)
        connection.execute("select setval('people.person_id_seq', (select max(id) from people.person))")
        connection.execute("vacuum analyze")


def _copy(connection: psycopg.Connection, old: list[Record], batch: str) -> None:
    connection.execute("alter table people.person_key drop constraint person_key_pkey")
    index: list[tuple[int, int]] = []
    columns = "id, first_name, last_name, house, street, unit, city, state, zip, raw, keys, fingerprint, norm_version"
    with connection.cursor().copy(f"copy people.person ({columns}, source_batch, source_row) from stdin") as copy:
        for i, record in enumerate(old, start=1):
            person = cleaned(record)
            found = keys(person)
            index += [(key, i) for key in found]
            copy.write_row((i, *person, "{}", found, fingerprint(person), 1, batch, i))
    with connection.cursor().copy("copy people.person_key from stdin") as copy:
        for row in index:
            copy.write_row(row)
    connection.execute("alter table people.person_key add primary key (key, person_id)")


def _peer(method: str, made: Set) -> str:
    """A peer; its threshold is the best one on another batch."""
    told, tuned = (_run(made.folder, Task(method, str(made.folder / "stored"), str(made.folder / name)))
                   for name in ("test", "tune"))  # fmt: skip
    level = _best(tuned["pairs"], made.tune)
    found = {(i, j) for i, j, score in _first(told["pairs"]) if score >= level}
    return _row(made.size, method, told, _quality(found, made.test), f"threshold {level:.2f} from another batch")


def _loop(made: Set) -> str:
    count = max(2, min(NEW, LOOP // made.size))
    few = made._replace(test=made.test[:count], tune=made.tune[:count])
    for name in ("test", "tune"):
        _parquet(made.folder / f"{name}_few", [cleaned(each.record) for each in getattr(few, name)])
    told, tuned = (_run(made.folder, Task("double loop", str(made.folder / "stored"), str(made.folder / f"{name}_few")))
                   for name in ("test", "tune"))  # fmt: skip
    level = _best(tuned["pairs"], few.tune)
    found = {(i, j) for i, j, score in told["pairs"] if score >= level}
    told["seconds"] = float(told["seconds"]) * NEW / count
    quality = _quality(found, few.test) if count >= 100 else None
    label = "reference: double loop, Jaro"
    return _row(made.size, label, told, quality, f"extrapolated from {count} of {NEW} new records")


def _first(pairs: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """Each new record's best."""
    best: dict[int, tuple[int, int, float]] = {}
    for pair in sorted(pairs, key=lambda each: (-each[2], each[1])):
        best.setdefault(pair[0], pair)
    return list(best.values())


def _best(pairs: list[tuple[int, int, float]], fresh: list[New]) -> float:
    first = _first(pairs)
    levels = sorted({round(score, 2) for _, _, score in first})[-200:]
    return max(levels, key=lambda level: _quality({(i, j) for i, j, s in first if s >= level}, fresh)[2])


def _quality(found: set[tuple[int, int]], fresh: list[New]) -> tuple[float, float, float]:
    """Precision, recall, F1."""
    true = {(i, each.stored) for i, each in enumerate(fresh) if each.stored >= 0}
    right = len(found & true)
    precision, recall = right / max(1, len(found)), right / max(1, len(true))
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


def _row(size: int, name: str, told: dict[str, object], quality: Quality | None, note: str) -> str:
    figures = " | ".join(f"{value:.3f}" for value in quality or ()) or "- | - | -"
    return f"| {size:,} | {name} | {told['seconds']:,.2f} | {told['peak_mb']:,.0f} | {figures} | {note} |"


HEAD = """| stored | method | seconds | peak MB | precision | recall | F1 | note |
|---:|---|---:|---:|---:|---:|---:|---|"""
NOTES = """Tidegate's seconds hold connecting, cleaning, keys, look-up, lock, decisions, inserts and commit;
the peers' hold matching alone, with the stored people in memory already and (Splink) the model
trained. F1 of Tidegate takes its best candidate at a score of 0.5 or more. Faker people were made
by this project; its model was fitted on other seeds of the same generator, which flatters it.
FEBRL: Tidegate's model and threshold are fitted to the labels of FEBRL 1 and 2; Splink is
unsupervised, with its best threshold by the labels of FEBRL 3 and 4 themselves."""


def _write(table: str) -> None:
    """Replace our section, leave the others."""
    text = RESULTS.read_text() if RESULTS.exists() else "# Benchmark results\n"
    before, _, rest = text.partition("\n## dedup\n")
    after = rest[rest.index("\n## ") :] if "\n## " in rest else ""
    load = f"load {os.getloadavg()[1]:.0f} on {os.cpu_count()} cores"
    day = f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}, {load}"
    RESULTS.write_text(f"{before}\n## dedup\n\n1,000 new people against those stored; {day}.\n\n{table}\n{after}")


if __name__ == "__main__":
    main([int(each.replace("_", "")) for each in sys.argv[1:]] or [10_000, 100_000])
