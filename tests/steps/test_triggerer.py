"""The triggerer's shorter waits: in the very Airflow that is installed, and no wait at all behind a step's end."""

from __future__ import annotations

import asyncio
import itertools
import json
import selectors
import time
from collections import deque
from socket import socketpair
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import anyio
import pytest
import structlog
from airflow.jobs import triggerer_job_runner as airflows
from airflow.jobs.triggerer_job_runner import TriggerRunner, TriggerRunnerSupervisor, messages
from airflow.triggers.base import BaseTrigger, TriggerEvent

from tidegate.airflow import triggerer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path
    from socket import socket

END = 0.3
"""Seconds after which the trigger of these tests ends."""


class Brief(BaseTrigger):
    """Ends soon."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(END)
        yield TriggerEvent("done")


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in the process that `python -m tidegate.airflow.triggerer` starts."""
    for name in ("anyio", "TriggerRunnerSupervisor"):
        monkeypatch.setattr(airflows, name, getattr(airflows, name))
    assert triggerer.hurry()
    yield
    monkeypatch.undo()


def told(runner: TriggerRunner, *, times: int) -> list[tuple[float, int]]:
    """Run its loop with one trigger until it has talked to its parent so often: when, and how many events it told."""
    begun, talks, enough = time.monotonic(), list[tuple[float, int]](), asyncio.Event()

    async def comms() -> None:
        forever = asyncio.get_running_loop().create_future()
        runner.comms_decoder = cast("Any", SimpleNamespace(_reader_task=asyncio.ensure_future(forever)))

    async def sync(_: list[int]) -> None:
        talks.append((time.monotonic() - begun, len(runner.events)))
        runner.events.clear()
        if len(talks) == 1:
            task = asyncio.create_task(runner.run_trigger(1, Brief()))  # type: ignore[no-untyped-call]
            runner.triggers[1] = {"task": task, "is_watcher": False, "name": "brief", "events": 0}
        if len(talks) == times:
            enough.set()

    async def story() -> None:
        runner.init_comms, runner.sync_state_to_supervisor = comms, sync  # type: ignore[method-assign]
        loop = asyncio.create_task(runner.arun())
        async with asyncio.timeout(60):
            await enough.wait()
            runner._handle_signal(15, None)
            await loop

    asyncio.run(story())
    return talks[:times]


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the loop meant to sleep each time."""
    asked, real = list[float](), anyio.move_on_after

    def move_on_after(seconds: float) -> anyio.CancelScope:
        asked.append(seconds)
        return real(seconds)

    monkeypatch.setattr(triggerer.anyio, "move_on_after", move_on_after)
    return asked


def test_airflow_sleeps_where_it_is_known_to() -> None:
    assert triggerer.changed() == ""


@pytest.mark.usefixtures("hurried")
def test_an_end_is_handed_back_at_once_however_long_the_loop_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggerer.Hasty, "move_on_after", lambda _: anyio.move_on_after(50))
    talks = told(triggerer.Runner(), times=2)  # type: ignore[no-untyped-call]
    assert [events for _, events in talks] == [0, 1], talks
    assert END <= talks[1][0] < 50


@pytest.mark.usefixtures("hurried")
def test_new_steps_are_looked_for_as_often_as_the_setting_says(
    monkeypatch: pytest.MonkeyPatch, sleeps: list[float]
) -> None:
    monkeypatch.setenv("AIRFLOW__TIDEGATE__TRIGGERER_LOOP_SECONDS", "0.1")
    assert len(told(triggerer.Runner(), times=6)) == 6  # type: ignore[no-untyped-call]
    assert set(sleeps) == {0.1}


@pytest.mark.parametrize(("said", "is_"), [("0.5", 0.5), ("0", 0.05), ("60", 1.0)])
def test_a_loop_is_neither_busy_nor_slower_than_airflows(
    monkeypatch: pytest.MonkeyPatch, said: str, is_: float
) -> None:
    monkeypatch.setenv("AIRFLOW__TIDEGATE__TRIGGERER_LOOP_SECONDS", said)
    assert triggerer.loop_seconds() == is_


def test_the_parent_looks_more_often_and_cleans_up_as_often_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    waits, cleaned, looked = [], [], []
    monkeypatch.setattr(TriggerRunnerSupervisor, "_service_subprocess", lambda _self, wait, *_: waits.append(wait))
    monkeypatch.setattr(TriggerRunnerSupervisor, "clean_unused", lambda _self: cleaned.append(1))
    monkeypatch.setattr(TriggerRunnerSupervisor, "load_triggers", lambda _self: looked.append(1))
    parent = triggerer.Supervisor.__new__(triggerer.Supervisor)
    parent._cleaned = parent._loaded = float("-inf")
    parent._service_subprocess(1)
    for _ in range(4):  # rounds that a word of a trigger ends at once
        parent.load_triggers()
        parent._service_subprocess(1)
        parent.clean_unused()
    assert waits[0] == triggerer.LOOP_SECONDS
    assert 0 < min(waits) < max(waits) <= triggerer.LOOP_SECONDS
    assert len(cleaned) == len(looked) == 1
    parent._loaded -= triggerer.LOOP_SECONDS
    parent.load_triggers()
    assert len(looked) == 2


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[triggerer.Supervisor, socket]]:
    """A parent that reads the log of trigger 7, and the end into which its child logs."""
    monkeypatch.setattr(TriggerRunnerSupervisor, "send_msg", lambda *_, **__: None)
    found = triggerer.Supervisor.__new__(triggerer.Supervisor)
    pairs = [socketpair() for _ in range(4)]
    found.selector, found._open_sockets = selectors.DefaultSelector(), WeakKeyDictionary()
    found.process_log, found.subprocess_logs_to_stdout = structlog.get_logger(), False
    found.running_triggers, found.cancelling_triggers = {7}, set()
    found.persisted_event_seqs, found.creating_triggers = deque(), deque()
    found.logger_cache = {7: airflows.TriggerLoggingFactory(log_path=str(tmp_path / "log"), ti=cast("Any", None))}
    monkeypatch.setattr(airflows.TriggerLoggingFactory, "upload_to_remote", lambda _: None)
    stdout, stderr, requests, logs = (ours for ours, _ in pairs)
    found._register_pipe_readers(stdout, stderr, requests, logs, data={})
    pairs[3][1].settimeout(5)  # a line that nobody reads is an error
    yield found, pairs[3][1]
    found.selector.close()
    for end in itertools.chain(*pairs):
        end.close()


LINES = 12


def test_all_that_was_logged_before_the_end_is_in_the_log(
    parent: tuple[triggerer.Supervisor, socket], tmp_path: Path
) -> None:
    supervisor, child = parent
    for number in range(LINES):
        line = {"event": f"line {number} {'x' * 1000}", "level": "info", "trigger_id": 7}
        child.sendall(json.dumps(line).encode() + b"\n")
    supervisor._handle_request(messages.TriggerStateChanges(finished=[7]), structlog.get_logger(), 1)
    said = [json.loads(line)["event"].split()[1] for line in (tmp_path / "log").read_text().splitlines()]
    assert said == [str(number) for number in range(LINES)]


def test_a_log_that_was_read_to_its_end_is_not_waited_for(parent: tuple[triggerer.Supervisor, socket]) -> None:
    supervisor, child = parent
    supervisor._handle_request(messages.TriggerStateChanges(finished=[7]), structlog.get_logger(), 1)
    source = next(found for found, kind in supervisor._open_sockets.items() if kind == "logs")
    source.settimeout(0)  # to read where there is nothing is an error now
    assert supervisor.selector.get_key(source).data[0](source)
    child.close()
    assert not supervisor.selector.get_key(source).data[0](source)


def test_an_airflow_with_other_code_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(triggerer, "SLEEPS", {TriggerRunner.arun: "await anyio.sleep(7)"})
    assert not triggerer.hurry()
    assert airflows.TriggerRunnerSupervisor is TriggerRunnerSupervisor
    assert "keeps its own waits of a second: TriggerRunner.arun has no 'await anyio.sleep(7)'" in caplog.text
