"""The methods that are compared, each in a process of its own so that its peak memory is its own.

Reads: a pickled `Task` (path in argv). Writes: JSON on standard output: seconds, peak memory in MB, and the pairs
(new, stored) taken for one person. Again: the same pairs.

Times are those of matching alone. Peers get the stored people as they want them (Arrow, a data frame) for nothing;
ours reads them from PostgreSQL, and its time holds everything: connecting, cleaning, keys, look-up, lock, decision,
inserts, commit.
"""

from __future__ import annotations

import json
import logging
import pickle
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

Pairs = list[tuple[int, int, float]]


@dataclass
class Task:
    """What one process is to do: cleaned people as Parquet for the peers, a database and a batch for ours."""

    method: str
    stored: str = ""
    fresh: str = ""
    database: str = ""
    batch: str = ""


_FOUND = """select r.row_no - 1, case when p.source_batch = r.batch_id then -p.source_row else p.id - 1 end, r.score,
    r.decision from people.match_result r
    left join lateral (select candidate_id from people.review v where (v.batch_id, v.row_no) = (r.batch_id, r.row_no)
        order by score desc, candidate_id limit 1) v on true
    join people.person p on p.id = coalesce(v.candidate_id, r.person_id)
    join people.batch b on b.batch_id = r.batch_id where b.source = %s and r.decision <> 'new'"""


def ours(task: Task) -> tuple[float, Pairs]:
    """The step's own code, end to end; what waits for review has its score, what is matched by itself has 2 more."""
    import tempfile

    import psycopg

    from jobs.dedup_people.step import Settings, run
    from tidegate.step import Input, Prefix, Secret
    from tidegate.step.stores import Stores

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(people=Input(task.batch), output=Prefix(Path(folder).as_uri()),
                            database=Secret(task.database))  # fmt: skip
        result = run(settings, Stores())
    with psycopg.connect(task.database) as connection:
        rows = connection.execute(_FOUND, [task.batch]).fetchall()
    pairs = [(i, j, score + 2 * (kind == "match")) for i, j, score, kind in rows]
    return float(result.metrics["seconds"]), pairs


def double_loop(task: Task) -> tuple[float, Pairs]:
    """The reference's own: Jaro of name and address against everybody, in Python, best one at 0.85 or more."""
    import jellyfish

    stored, fresh = ([" ".join(person) for person in _table(path).itertuples(index=False)]
                     for path in (task.stored, task.fresh))  # fmt: skip
    start, pairs = time.perf_counter(), []
    for i, text in enumerate(fresh):
        best, at = 0.0, -1
        for j, other in enumerate(stored):
            score = jellyfish.jaro_similarity(text, other)
            if score > best:
                best, at = score, j
        pairs.append((i, at, best))
    return time.perf_counter() - start, pairs


def recordlinkage_(task: Task) -> tuple[float, Pairs]:
    """Blocking by postcode, house and street; Jaro-Winkler and exact comparisons; the sum of agreements."""
    import recordlinkage as rl

    one, two = _table(task.fresh).replace("", None), _table(task.stored).replace("", None)
    start = time.perf_counter()
    index = rl.Index()
    for block in (["zip", "last"], ["zip", "first"], ["house", "street"], ["first", "last", "city"], ["zip", "house"]):
        index.block(block)
    compare = rl.Compare()
    for name in ("first", "last", "street", "city"):
        compare.string(name, name, method="jarowinkler", threshold=0.88, missing_value=0)
    for name in ("house", "unit", "state", "zip"):
        compare.exact(name, name)
    found = compare.compute(index.index(one, two), one, two)
    scores = rl.ECMClassifier(binarize=None).fit_predict(found) if False else found.sum(axis=1)
    seconds = time.perf_counter() - start
    return seconds, [(int(i), int(j), float(score)) for (i, j), score in scores.items()]


def splink(task: Task) -> tuple[float, Pairs]:
    """Splink on DuckDB: u by sampling, m by EM (not timed), then prediction of links between new and stored (timed)."""
    from tests.bench.dedup.splink_model import predict

    return predict(_table(task.fresh), _table(task.stored))


def _table(path: str) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(path)


METHODS: dict[str, Callable[[Task], tuple[float, Pairs]]] = {
    "ours": ours, "double loop": double_loop, "recordlinkage": recordlinkage_, "Splink": splink,
}  # fmt: skip


def _peak() -> float:
    """MB at most resident since this program started; getrusage would count the parent before the exec too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main(path: str) -> None:
    logging.disable(logging.ERROR)  # Splink tells every step of its training
    task: Task = pickle.loads(Path(path).read_bytes())  # noqa: S301 - written by our own parent a moment ago
    seconds, pairs = METHODS[task.method](task)
    peak = _peak()
    told: dict[str, Any] = {"seconds": seconds, "peak_mb": peak, "pairs": pairs}
    sys.stdout.write("\n" + json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
