"""Twelve batches at once, each process killed once in the middle: the table is that of a sequential run."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from random import Random
from typing import TYPE_CHECKING, NoReturn

import psycopg

from jobs.__main__ import run
from tests.jobs.people import batches
from tests.jobs.people.batches import query, raw_people, write

if TYPE_CHECKING:
    from pathlib import Path

BATCHES, ROWS, DEADLINE = 12, 60, 240
COMMITTED = "select source, count(*) from people.match_result join people.batch using (batch_id) group by source"


def start(file: Path, database: str) -> int:
    """A process that runs the step as its pod would, forked, as a new interpreter takes longer than its batch."""
    pid = os.fork()
    if not pid:
        _run_and_exit(file, database)
    return pid


def _run_and_exit(file: Path, database: str) -> NoReturn:
    code = 1
    try:
        log = os.open(file.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
        os.environ.update({
            "PEOPLE_DATABASE_URL": database,
            "TIDEGATE_PARAMS": json.dumps({"chunk_rows": 6}),
            "TIDEGATE_INPUTS": json.dumps({"people": file.as_uri()}),
            "TIDEGATE_OUTPUT": (file.parent / f"out-{file.stem}").as_uri(),
            "TIDEGATE_RESULT": str(file.with_suffix(".result")),
        })  # fmt: skip
        code = run(["dedup_people"])
    finally:
        os._exit(code)  # no cleaning up: what the parent has open is the parent's


class Fleet:
    """One process a batch; each is killed at a row of its own, then started again, the first two batches twice."""

    def __init__(self, files: list[Path], database: str, random: Random) -> None:
        self._database, self.killed = database, 0
        self._kill_at = {file.as_uri(): random.randrange(ROWS - 10) for file in files}
        self._running = {start(file, database): (file, True) for file in files}
        self._twice = set(files[:2])
        self._deadline = time.monotonic() + DEADLINE

    def finish(self) -> None:
        with psycopg.connect(self._database, autocommit=True) as connection:
            while self._running:
                assert time.monotonic() < self._deadline, f"still running: {self._running}"
                self._kill_who_came_far(dict(connection.execute(COMMITTED).fetchall()))
                self._collect()

    def _kill_who_came_far(self, committed: dict[str, int]) -> None:
        for pid, (file, first) in self._running.items():
            if first and committed.get(file.as_uri(), 0) >= self._kill_at[file.as_uri()]:
                os.kill(pid, signal.SIGKILL)

    def _collect(self) -> None:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            time.sleep(0.005)
            return
        file, first = self._running.pop(pid)
        if first and os.waitstatus_to_exitcode(status) == -signal.SIGKILL:
            self.killed += 1
        else:
            assert os.waitstatus_to_exitcode(status) == 0, file.with_suffix(".log").read_text()
        if first:
            for _ in range(1 + (file in self._twice)):
                self._running[start(file, self._database)] = (file, False)


def test_twelve_batches_at_once_each_killed_once(tmp_path: Path, database: str) -> None:
    random = Random(os.environ.get("PEOPLE_SEED", "7"))
    pool = raw_people("pool", count=200)
    files = [write(tmp_path / f"b{i:02d}.jsonl", random.sample(pool, ROWS)) for i in range(BATCHES)]
    contents = {file.as_uri(): [json.loads(line) for line in file.read_text().splitlines()] for file in files}
    batches.dedup(write(tmp_path / "first.jsonl", pool[:5]), database)  # the schema is there
    contents[(tmp_path / "first.jsonl").as_uri()] = pool[:5]

    fleet = Fleet(files, database, random)
    fleet.finish()

    assert fleet.killed >= BATCHES - 2, "the kills came too late to prove anything"
    found = batches.decisions(database)
    assert len(found) == 5 + BATCHES * ROWS
    order = batches.in_commit_order(database)
    assert found == batches.as_sequential(contents, order, batches.settings(files[0], database))
    inserted = sum(kind == "new" for kind, _ in found.values())
    assert query(database, "select count(*), count(distinct fingerprint) from people.person") == [(inserted, inserted)]
    assert query(database, "select count(*), count(distinct message_id) from people.outbox") == [
        (BATCHES + 1, BATCHES + 1)
    ]
    assert query(database, "select count(*) from people.batch where status <> 'done'") == [(0,)]
    batches.check_keys(database)
    results = [json.loads(file.with_suffix(".result").read_text()) for file in files]
    assert all(each["metrics"]["records"] == ROWS for each in results)
