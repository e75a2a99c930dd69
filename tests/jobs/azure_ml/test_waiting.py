"""Signs of life while something is waited for, and a log that is followed in spite of its breaks."""

from __future__ import annotations

import importlib
import threading
from typing import TYPE_CHECKING, Any

from jobs.azure_ml import logs

if TYPE_CHECKING:
    import pytest


def test_a_sign_of_life_is_given_every_five_minutes_without_news(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = importlib.import_module("jobs.azure_ml.waiting")  # it loads the SDK, which warns of itself
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    watch = waiting.Watch("job x", poll=10, patience=900)
    with caplog.at_level("INFO", logger=waiting.__name__):
        for state in ["Queued"] * 45 + ["Running"] * 30:
            watch.note(state)
            now += 10
    assert caplog.messages == [
        "azure_ml: job x is Queued",
        "azure_ml: job x is still Queued, for 5 min",
        "azure_ml: job x is Running",
    ]


class Client:
    """One whose stream breaks off, as it does when a token cannot be fetched (azure-sdk-for-python#35806)."""

    def __init__(self, *, breaks: int) -> None:
        self.jobs, self.begun, self.left = self, 0, breaks
        self.read = threading.Event()

    def stream(self, name: str) -> None:
        assert name == "x"
        self.begun += 1
        if self.left:
            self.left -= 1
            raise RuntimeError("no token")
        self.read.set()


def test_a_log_that_breaks_off_is_begun_again_until_the_job_is_over() -> None:
    client: Any = Client(breaks=2)
    tail = logs.Tail(client, "x", pause=0.01)
    tail.start()
    assert client.read.wait(10)
    tail.end()
    assert client.begun == 3


def test_a_log_that_stays_broken_ends_with_the_job() -> None:
    client: Any = Client(breaks=10**9)
    tail = logs.Tail(client, "x", pause=60)
    tail.start()
    tail.end(seconds=10)
    assert not tail._thread.is_alive()
    assert client.begun in (1, 2)
