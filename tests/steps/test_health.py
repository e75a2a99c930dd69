"""What the platform's own containers tell of ledger, stores and the pipelines' files, for `tidegate status`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tidegate.airflow import health
from tidegate.cluster.project import ROOT
from tidegate.ledger.migrate import migrate

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def asked(*arguments: str, **environ: str) -> dict[str, Any]:
    """As the command line asks, in a process of its own."""
    command = [sys.executable, "-m", "tidegate.airflow.health", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environ, capture_output=True, text=True, timeout=120, check=True
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("HEALTH ")]
    found: dict[str, Any] = json.loads(line.removeprefix("HEALTH "))
    return found


def test_a_ledger_and_a_store_that_answer_have_no_fault(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/ledger.db"
    migrate(address)
    told = asked("ledger", "--store", tmp_path.as_uri(), TIDEGATE_LEDGER_URL=address, AIRFLOW_HOME=str(tmp_path))
    assert (told["ledger"]["fault"], told["ledger"]["spooled"]) == ("", 0)
    assert told["ledger"]["counts"]["running"] == 0
    assert [(one["url"], one["fault"]) for one in told["stores"]] == [(tmp_path.as_uri(), "")]


def test_a_ledger_that_is_away_is_a_fault_without_its_password(tmp_path: Path) -> None:
    address = "postgresql://ledger:s3cret@127.0.0.1:9/ledger"
    told = asked("ledger", TIDEGATE_LEDGER_URL=address, AIRFLOW_HOME=str(tmp_path))
    assert told["ledger"]["fault"].startswith("Unreachable: ")
    assert "s3cret" not in json.dumps(told)
    assert told["stores"] == []


def test_rows_that_wait_to_be_written_are_counted(tmp_path: Path) -> None:
    for name in ("1.json", "2.json", "3.refused", "4.partial"):
        (tmp_path / name).write_text("{}")
    os.utime(tmp_path / "1.json", (0, datetime.now(UTC).timestamp() - 600))
    told = health.ledger_health("", tmp_path)
    assert (told["spooled"], told["refused"]) == (2, 1)
    assert 595 <= told["spooled_for"] <= 660
    assert "make the Secret ledger" in told["fault"]


def test_a_store_that_does_not_answer_is_a_fault_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "gs://" in health.store_health("gs://bucket")["fault"]
    over = threading.Event()
    monkeypatch.setattr(health, "store_health", lambda _: over.wait(60))
    monkeypatch.setattr(health, "SECONDS", 0.1)
    try:
        told = health.told("ledger", [tmp_path.as_uri()], {})
    finally:
        over.set()
    assert told["stores"][0]["fault"] == "no answer within 0 s"


def test_the_commit_is_the_one_that_git_sync_switched_to(tmp_path: Path) -> None:
    worktree = tmp_path / ".worktrees" / COMMIT
    (worktree / "dags").mkdir(parents=True)
    (tmp_path / "repo").symlink_to(f".worktrees/{COMMIT}")
    told = asked("dags", AIRFLOW__CORE__DAGS_FOLDER=str(tmp_path / "repo" / "dags"))["dags"]
    assert told["commit"] == COMMIT
    assert abs((datetime.now(UTC) - datetime.fromisoformat(told["since"])).total_seconds()) < 60
    assert health.dags_health(worktree / "dags") == {"commit": "", "since": ""}
