"""The methods that are compared, each in a process of its own so that its peak memory is its own.

Reads: a pickled `Task` (path in argv). Writes: JSON on standard output: seconds, seconds of CPU, peak memory in MB, and
the pairs (new, stored, score) taken for one person. Again: the same pairs.

Times are those of matching alone. Peers get the stored people cleaned and as they want them (Arrow, a data frame) for
nothing; ours reads a file, cleans, and finds them in PostgreSQL: its time holds everything up to the last commit, and
its CPU that of the database server too.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

Pairs = list[tuple[int, int, float]]


class Took(NamedTuple):
    """One method's measure."""

    seconds: float
    cpu: float
    pairs: Pairs
    note: str = ""


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


def ours(task: Task) -> Took:
    """The step's own code, end to end; what waits for review has its score, what is matched by itself has 2 more."""
    import tempfile

    import psycopg

    from jobs.dedup_people import step
    from tidegate.step import Input, Prefix, Secret
    from tidegate.step.stores import Stores

    clock = _Clock(_postmaster(task.database))
    publish, marks = step.publish_batch, []

    def done(*arguments: Any, **options: Any) -> Any:
        marks.append(clock.now())
        return publish(*arguments, **options)

    step.publish_batch = done  # the batch is committed; what follows is for people to read
    with tempfile.TemporaryDirectory() as folder:
        settings = step.Settings(people=Input(task.batch), output=Prefix(Path(folder).as_uri()),
                                 database=Secret(task.database))  # fmt: skip
        start = clock.now()
        step.run(settings, Stores())
    with psycopg.connect(task.database) as connection:
        rows = connection.execute(_FOUND, [task.batch]).fetchall()
    pairs = [(i, j, score + 2 * (kind == "match")) for i, j, score, kind in rows]
    return Took(marks[0][0] - start[0], marks[0][1] - start[1], pairs)


def double_loop(task: Task) -> Took:
    """The reference's own: Jaro of name and address against everybody, in Python, the best one."""
    import jellyfish

    stored, fresh = ([" ".join(person) for person in _table(path).itertuples(index=False)]
                     for path in (task.stored, task.fresh))  # fmt: skip
    clock, pairs = _Clock(), []
    start = clock.now()
    for i, text in enumerate(fresh):
        best, at = 0.0, -1
        for j, other in enumerate(stored):
            score = jellyfish.jaro_similarity(text, other)
            if score > best:
                best, at = score, j
        pairs.append((i, at, best))
    return clock.took(start, pairs)


def cdist_(task: Task) -> Took:
    """The same comparisons in C++ (rapidfuzz), on all cores."""
    import numpy as np
    from rapidfuzz.distance import Jaro
    from rapidfuzz.process import cdist

    stored, fresh = ([" ".join(person) for person in _table(path).itertuples(index=False)]
                     for path in (task.stored, task.fresh))  # fmt: skip
    clock = _Clock()
    start = clock.now()
    same = cdist(fresh, stored, scorer=Jaro.similarity, dtype=np.float32, workers=-1)
    best = same.argmax(axis=1).tolist()
    return clock.took(start, [(i, at, float(same[i, at])) for i, at in enumerate(best)])


def recordlinkage_(task: Task) -> Took:
    """Blocking by postcode, house and street; Jaro-Winkler and exact comparisons; the sum of agreements."""
    import recordlinkage as rl

    one, two = _table(task.fresh).replace("", None), _table(task.stored).replace("", None)
    clock = _Clock()
    start = clock.now()
    index = rl.Index()
    for block in (["zip", "last"], ["zip", "first"], ["house", "street"], ["first", "last", "city"], ["zip", "house"]):
        index.block(block)
    compare = rl.Compare()
    for name in ("first", "last", "street", "city"):
        compare.string(name, name, method="jarowinkler", threshold=0.88, missing_value=0)
    for name in ("house", "unit", "state", "zip"):
        compare.exact(name, name)
    scores = compare.compute(index.index(one, two), one, two).sum(axis=1)
    took = clock.took(start, [])
    return took._replace(pairs=[(int(i), int(j), float(score)) for (i, j), score in scores.items()])


def splink(task: Task) -> Took:
    """Splink on DuckDB: u by sampling, m by EM (not timed), then prediction of links between new and stored (timed)."""
    from tests.bench.dedup.splink_model import predict

    clock = _Clock()
    found = predict(_table(task.fresh), _table(task.stored), now=clock.now)
    return Took(*found)


def _table(path: str) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(path)


METHODS: dict[str, Callable[[Task], Took]] = {
    "ours": ours, "double loop": double_loop, "cdist": cdist_, "recordlinkage": recordlinkage_, "Splink": splink,
}  # fmt: skip


class _Clock:
    """Seconds of this machine's time, and of CPU: this process's and, where there is one, the database server's."""

    def __init__(self, server: int = 0) -> None:
        self._server = server

    def now(self) -> tuple[float, float]:
        return time.perf_counter(), time.process_time() + (_cpu_of(self._server) if self._server else 0.0)

    def took(self, start: tuple[float, float], pairs: Pairs) -> Took:
        wall, cpu = self.now()
        return Took(wall - start[0], cpu - start[1], pairs)


def _postmaster(database: str) -> int:
    """The server's main process, which is on this machine."""
    import psycopg

    with psycopg.connect(database) as connection:
        folder = connection.execute("show data_directory").fetchone()
    assert folder
    return int(Path(folder[0], "postmaster.pid").read_text().split()[0])


def _cpu_of(server: int) -> float:
    """Of the server's processes, those that ended included."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended
        mine = int(stat.parent.name) == server
        if mine or int(fields[1]) == server:
            ticks += sum(map(int, fields[11 : 15 if mine else 13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _peak() -> float:
    """MB at most resident since this program started; getrusage would count the parent before the exec too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main(path: str) -> None:
    logging.disable(logging.ERROR)  # Splink tells every step of its training
    task: Task = pickle.loads(Path(path).read_bytes())  # noqa: S301 - written by our own parent a moment ago
    took = METHODS[task.method](task)
    peak = _peak()
    told = {"seconds": took.seconds, "cpu": took.cpu, "peak_mb": peak, "pairs": took.pairs}
    sys.stdout.write("\n" + json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
