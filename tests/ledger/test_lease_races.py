"""Threads and processes that want the same result at once: one runs, the others get it, a dead one is taken over."""

from __future__ import annotations

import json
import os
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests import forked
from tests.ledger.world import Stores, ask, done, failed, key
from tidegate.ledger import Claim, LeaseLost, attempts, rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tidegate.ledger import Ledger

PAST_LEASE = timedelta(seconds=91)


def test_twenty_threads_at_once_run_once(opened: Callable[..., Ledger], stores: Stores) -> None:
    ledger, effects, verdicts = opened(), [], []

    def work(number: int) -> None:
        verdict = ledger.obtain(ask(number), at_most=60)
        if isinstance(verdict, Claim):
            effects.append(number)
            time.sleep(0.2)
            ledger.close(verdict, done(stores))
        verdicts.append(verdict)

    threads = [threading.Thread(target=work, args=[number]) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=90)
    told = [
        (row.attempt, row.reason, row.detail, row.state, row.exit_reason)
        for row in ledger.do(lambda tx: rows.by_key(tx, key().digest))
    ]
    assert len(effects) == 1, told
    assert sorted(type(verdict).__name__ for verdict in verdicts) == ["Claim"] + ["Hit"] * 19


PROCESS = """
import json, os, sys, time
from pathlib import Path
from tests.ledger.world import Stores, ask, done
from tidegate.ledger import Claim, Ledger, attempts
from datetime import timedelta

address, number, mode, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])

class OnDisk(Stores):
    def seen(self, url):
        path = folder / url.rpartition("/")[2]
        return self.tell(path) if path.exists() else None
    def tell(self, path):
        from tidegate.ledger import Seen
        return Seen(size=path.stat().st_size, etag=str(path.stat().st_mtime_ns))

stores = OnDisk()
ledger = Ledger(address, probe=stores)
while not (folder / "go").exists():
    time.sleep(0.01)
verdict = ledger.obtain(ask(number, lease=timedelta(seconds=2 if mode == "hang" else 60)), at_most=60)
print(json.dumps({"verdict": type(verdict).__name__, "fence": getattr(verdict, "fence", 0)}), flush=True)
if isinstance(verdict, Claim):
    with (folder / "effects").open("a") as file:
        file.write(f"{number}\\n")
    if mode == "hang":
        time.sleep(120)
    (folder / "model.pkl").write_bytes(b"model")
    from tidegate.ledger import Outcome, Output, State
    stat = (folder / "model.pkl").stat()
    output = Output(name="m", url="x/model.pkl", size=5, etag=str(stat.st_mtime_ns))
    time.sleep(0.3)
    ledger.close(verdict, Outcome(state=State.SUCCEEDED, outputs=(output,)))
ledger.shut()
"""


LOADED = ("tests.ledger.world", "psycopg", "pymysql")
"""What the process has in memory that these are forked from: to load it takes longer than what they do."""


def start(db: str, number: int, folder: Path, *, mode: str = "work") -> forked.Program:
    return forked.Program(["-c", PROCESS, db, str(number), mode, str(folder)], env=os.environ, loaded=LOADED)


def answer(process: forked.Program) -> dict[str, object]:
    with process:
        output = process.stdout.read()
        assert process.wait(90) == 0, output
    return json.loads(output)


def test_two_processes_at_once_one_runs_the_other_gets_its_result(db: str, tmp_path: Path) -> None:
    processes = [start(db, number, tmp_path) for number in (1, 2)]
    (tmp_path / "go").touch()
    answers = sorted(str(answer(process)["verdict"]) for process in processes)
    assert answers == ["Claim", "Hit"]
    assert len((tmp_path / "effects").read_text().split()) == 1


def test_a_killed_holder_is_taken_over_by_a_waiting_process(db: str, tmp_path: Path, ledger: Ledger) -> None:
    (tmp_path / "go").touch()
    with start(db, 1, tmp_path, mode="hang") as holder:
        first = json.loads(holder.stdout.readline())
        holder.kill()
    second = answer(start(db, 2, tmp_path))
    assert (first["verdict"], second["verdict"]) == ("Claim", "Claim")
    assert second["fence"] > first["fence"]
    with pytest.raises(LeaseLost):
        ledger.do(attempts.close(first["fence"], failed()))
    history = ledger.do(lambda tx: rows.by_key(tx, key().digest))
    assert [(row.attempt, row.state, row.exit_reason) for row in history] == [
        (2, "succeeded", ""),
        (1, "failed", "taken_over"),
    ]
