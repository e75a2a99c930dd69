"""Logs of tasks in a store: what Airflow calls, on a store on disk, and that Airflow finds it by its settings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NoReturn

import pytest

from tidegate.airflow.remote_logs import StoredLogs
from tidegate.step.errors import TryAgain
from tidegate.step.stores.file import FileStore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dags.conftest import Fork

WORKER = "dag_id=petrol/run_id=r 1/task_id=train/attempt=1.log"
TRIGGER = f"{WORKER}.trigger.7.log"


class Logs:
    """A folder of logs on a pod, and the store."""

    def __init__(self, tmp_path: Path) -> None:
        self.base, self.bucket = tmp_path / "logs", tmp_path / "bucket"
        self.stored = StoredLogs(self.bucket.as_uri(), base=self.base, store=FileStore())

    def write(self, name: str, text: str) -> None:
        path = self.base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def read(self, name: str = WORKER) -> list[str]:
        return self.stored.read(name, None)[1] or []

    def wait(self, count: int) -> list[str]:
        until = time.monotonic() + 10
        while len(found := self.read()) < count:
            assert time.monotonic() < until, found
            time.sleep(0.01)
        return found


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path)


def test_a_log_is_read_back_line_by_line(logs: Logs) -> None:
    logs.write(WORKER, "one\ntwo\n")
    logs.stored.upload(WORKER)
    sources, streams = logs.stored.stream(WORKER, None)
    assert len(sources) == 1
    assert [list(lines) for lines in streams] == [["one\n", "two\n"]]


def test_what_the_triggerer_wrote_is_read_with_the_try_it_belongs_to(logs: Logs) -> None:
    logs.write(WORKER, "worker\n")
    logs.write(TRIGGER, "trigger\n")
    logs.write(WORKER.replace("=1.log", "=11.log"), "another try\n")
    for name in (WORKER, TRIGGER, WORKER.replace("=1.log", "=11.log")):
        logs.stored.upload(name)
    assert sorted(logs.wait(2)) == ["trigger\n", "worker\n"]


def test_a_log_that_grew_replaces_its_older_self(logs: Logs) -> None:
    for text in ("one\n", "one\ntwo\n", "one\ntwo\n"):
        logs.write(WORKER, text)
        logs.stored.upload(WORKER)
    assert logs.read() == ["one\ntwo\n"]


def test_a_log_begun_anew_on_another_pod_loses_no_line(logs: Logs) -> None:
    for text in ("first pod\n", "second pod\n"):
        logs.write(WORKER, text)
        logs.stored.upload(WORKER)
    assert logs.read() == ["first pod\nsecond pod\n"]


def test_a_log_of_many_megabytes_is_kept_whole(logs: Logs) -> None:
    text = "0123456789abcde\n" * (3 * 2**16 + 1)
    logs.write(WORKER, text)
    logs.stored.upload(WORKER)
    logs.write(WORKER, f"{text}more\n")
    logs.stored.upload(WORKER)
    assert logs.read() == [f"{text}more\n"]


def test_what_is_not_there_is_nothing(logs: Logs) -> None:
    logs.stored.upload(WORKER)
    assert logs.stored.read(WORKER, None) == ([], None)


class Away(FileStore):
    """A store that does not answer."""

    def _away(self, url: str) -> NoReturn:
        raise TryAgain(f"the store of {url} is away")

    open = list = _away


def test_a_store_that_is_away_breaks_nothing_and_is_told(logs: Logs, caplog: pytest.LogCaptureFixture) -> None:
    away = StoredLogs("file:///nowhere", base=logs.base, store=Away())
    logs.write(WORKER, "kept\n")
    away.upload(WORKER)
    assert "was not stored; it stays in" in caplog.text
    sources, texts = away.read(WORKER, None)
    assert "is away" in sources[0]
    assert texts is None


FIND = """
from airflow.logging_config import get_remote_task_log
from airflow.sdk.log import load_remote_log_handler
print(type(get_remote_task_log()).__name__, type(load_remote_log_handler()).__name__)
"""


@pytest.mark.parametrize(("url", "found"), [("file:///tmp/logs", "StoredLogs StoredLogs"), ("", "NoneType NoneType")])
def test_airflow_finds_it_by_its_settings(fork: Fork, url: str, found: str) -> None:
    settings = {
        "AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS": "tidegate.airflow.remote_logs.LOGGING",
        "AIRFLOW__TIDEGATE__LOGS_URL": url,
    }
    done = fork(FIND, **settings)
    assert done.stdout.splitlines()[-1:] == [found], done.stderr
