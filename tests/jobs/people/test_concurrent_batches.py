"""Twelve batches at once, each process killed once in the middle: the table is that of a sequential run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import psycopg

from tests.jobs.people import batches
from tests.jobs.people.batches import query, raw_people, write

ROOT = Path(__file__).resolve().parents[3]
BATCHES, ROWS = 12, 100


def start(file: Path, database: str) -> subprocess.Popen[bytes]:
    environ = os.environ | {
        "PEOPLE_DATABASE_URL": database,
        "TIDEGATE_PARAMS": json.dumps({"chunk_rows": 10}),
        "TIDEGATE_INPUTS": json.dumps({"people": file.as_uri()}),
        "TIDEGATE_OUTPUT": (file.parent / f"out-{file.stem}").as_uri(),
        "TIDEGATE_RESULT": str(file.with_suffix(".result")),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "jobs", "dedup_people"], cwd=ROOT, env=environ, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip


def kill_after(process: subprocess.Popen[bytes], database: str, file: Path, rows: int) -> bool:
    """SIGKILL once so many of the batch's rows are committed; whether it came in time."""
    sql = "select count(*) from people.match_result join people.batch using (batch_id) where source = %s"
    with psycopg.connect(database, autocommit=True) as connection:
        deadline = time.monotonic() + 240
        while process.poll() is None and time.monotonic() < deadline:
            if connection.execute(sql, [file.as_uri()]).fetchone()[0] >= rows:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
    process.communicate(timeout=30)
    return process.returncode == -signal.SIGKILL


def test_twelve_batches_at_once_each_killed_once(tmp_path: Path, database: str) -> None:
    random = Random(os.environ.get("PEOPLE_SEED", "7"))
    pool = raw_people("pool", count=300)
    files = [write(tmp_path / f"b{i:02d}.jsonl", random.sample(pool, ROWS)) for i in range(BATCHES)]
    contents = {file.as_uri(): [json.loads(line) for line in file.read_text().splitlines()] for file in files}
    batches.dedup(write(tmp_path / "first.jsonl", pool[:5]), database)  # the schema is there
    contents[(tmp_path / "first.jsonl").as_uri()] = pool[:5]

    def one(file: Path) -> bool:
        killed = kill_after(start(file, database), database, file, random.randrange(0, ROWS - 10))
        twice = file in files[:2]  # these then run twice at once
        for again in [start(file, database) for _ in range(1 + twice)]:
            out, _ = again.communicate(timeout=240)
            assert again.returncode == 0, out.decode()
        return killed

    with ThreadPoolExecutor(BATCHES) as threads:
        killed = list(threads.map(one, files))

    assert sum(killed) >= BATCHES - 2, "the kills came too late to prove anything"
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
