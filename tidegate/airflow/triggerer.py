"""Airflow's triggerer with shorter waits: `python -m tidegate.airflow.triggerer` for `airflow triggerer`.

A new trigger is found by one loop, fetched by another, and its event is handed back by the latter; both sleep for a
second each round, which no setting reaches (apache-airflow 3.3.2, `run_once` and `arun`): up to two seconds before a
step begins, one after its end. Here both sleep `tidegate.triggerer_loop_seconds`, and an end is handed back at once.
Cleaning up behind triggers, which each round of the first loop does, stays at once a second. Whatever a trigger says
(a log's line, a question) begins a round too; the tables are asked for new triggers once a sleep, not once a word.
Airflow closes a task's log when it hears that the trigger has ended, and reads 4 KB of what was logged a round: an end
that is heard at once would cost the last lines. So all that was logged before is read first.
Reads: Airflow's settings. Again: as Airflow's. Of an Airflow with other code nothing is changed, and the log says so.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import selectors
import sys
import time
from typing import TYPE_CHECKING, Any

import anyio
import attrs
from airflow.configuration import conf
from airflow.jobs import triggerer_job_runner as airflows
from airflow.jobs.triggerer_job_runner import TriggerRunner, TriggerRunnerSupervisor, messages

from tidegate.airflow import success
from tidegate.airflow.preloaded import load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from socket import socket

log = logging.getLogger(__name__)

LOOP_SECONDS = 0.25
"""Unless `AIRFLOW__TIDEGATE__TRIGGERER_LOOP_SECONDS` says otherwise; 1 is Airflow's own."""

CLEAN_SECONDS = 1.0

READS = 256
"""Of 4 KB at once: what a socket holds, and an end where triggers log without pause."""

SLEEPS: Mapping[Any, str] = {
    TriggerRunner.arun: "with anyio.move_on_after(1):",
    TriggerRunnerSupervisor.run_once: "self._service_subprocess(1)",
}
"""Where Airflow sleeps, word for word."""


def loop_seconds() -> float:
    """Between two rounds of either loop."""
    return min(1.0, max(0.05, conf.getfloat("tidegate", "triggerer_loop_seconds", fallback=LOOP_SECONDS)))


class Pulse:
    """An event that is over when somebody has waited for it, so that it can come again."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Wake who waits, or who will next."""
        self._event.set()

    async def wait(self) -> None:
        """Until it comes."""
        await self._event.wait()
        self._event.clear()


class Hasty:
    """The part of `anyio` that Airflow's loop uses, with shorter sleeps that a pulse ends."""

    Event = Pulse

    @staticmethod
    def move_on_after(seconds: float) -> anyio.CancelScope:
        """See anyio."""
        return anyio.move_on_after(min(seconds, loop_seconds()))


class Runner(TriggerRunner):
    """Wakes its loop when a trigger has ended."""

    async def run_trigger(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's own
        """See TriggerRunner."""
        try:
            await super().run_trigger(*args, **kwargs)
        finally:
            if self._stop_event is not None:
                self._stop_event.set()


def emptied(read: Callable[[socket], bool]) -> Callable[[socket], bool]:
    """Of a function that reads once, and waits where there is nothing: one that reads what is there."""

    def read_all(source: socket) -> bool:
        with selectors.DefaultSelector() as only:
            only.register(source, selectors.EVENT_READ)
            for _ in range(READS):
                if not only.select(0):
                    return True
                if not read(source):
                    return False
        return True

    return read_all


@attrs.define(kw_only=True)
class Supervisor(TriggerRunnerSupervisor):
    """Looks for new triggers more often, cleans up behind old ones as often as before, and loses no line of a log."""

    _cleaned: float = attrs.field(init=False, default=-math.inf)
    _loaded: float = attrs.field(init=False, default=-math.inf)

    @classmethod
    def run_in_process(cls) -> None:
        """See TriggerRunnerSupervisor."""
        Runner().run()  # type: ignore[no-untyped-call]

    def _service_subprocess(
        self,
        max_wait_time: float,
        raise_on_timeout: bool = False,
        expect_signal: int | None = None,
    ) -> Any:  # noqa: ANN401 - Airflow's own
        left = self._loaded + loop_seconds() - time.monotonic()
        wait = min(max_wait_time, left if left > 0 else loop_seconds())
        return TriggerRunnerSupervisor._service_subprocess(self, wait, raise_on_timeout, expect_signal)  # noqa: SLF001

    def _register_pipe_readers(
        self, stdout: socket, stderr: socket, requests: socket, logs: socket, *, data: dict[socket, bytes]
    ) -> None:
        TriggerRunnerSupervisor._register_pipe_readers(self, stdout, stderr, requests, logs, data=data)  # noqa: SLF001
        read, on_close = self.selector.get_key(logs).data
        self.selector.modify(logs, selectors.EVENT_READ, (emptied(read), on_close))

    def _handle_request(self, msg: Any, log: Any, req_id: int) -> None:  # noqa: ANN401 - Airflow's own
        if isinstance(msg, messages.TriggerStateChanges) and msg.finished:
            self._read_logs()
        TriggerRunnerSupervisor._handle_request(self, msg, log, req_id)  # noqa: SLF001

    def _read_logs(self) -> None:
        for source in [source for source, kind in self._open_sockets.items() if kind == "logs"]:
            self.selector.get_key(source).data[0](source)

    def load_triggers(self) -> None:
        """See TriggerRunnerSupervisor. What a trigger says ends a round early; the tables are asked later."""
        if time.monotonic() - self._loaded >= loop_seconds():
            TriggerRunnerSupervisor.load_triggers(self)
            self._loaded = time.monotonic()

    def clean_unused(self) -> None:
        """See TriggerRunnerSupervisor."""
        if time.monotonic() - self._cleaned >= CLEAN_SECONDS:
            self._cleaned = time.monotonic()
            TriggerRunnerSupervisor.clean_unused(self)


def changed() -> str:
    """Empty where Airflow sleeps as it is known to, else what is another."""
    for function, words in SLEEPS.items():
        if words not in inspect.getsource(function):
            return f"{function.__qualname__} has no {words!r}"
    return ""


def hurry() -> bool:
    """Put the shorter waits in the place of Airflow's; False where its code is not the known one."""
    if fault := changed():
        log.warning("Airflow's triggerer keeps its own waits of a second: %s", fault)
        return False
    vars(airflows)["anyio"] = Hasty
    vars(airflows)["TriggerRunnerSupervisor"] = Supervisor
    return True


WARM = ("tidegate.airflow.trigger", "tidegate.step.stores")
"""What the first step would have to wait for; loaded in the process that the others are forked from."""


if __name__ == "__main__":
    hurry()
    success.install()
    load(WARM)
    from airflow.__main__ import main

    sys.argv = ["airflow", "triggerer", *sys.argv[1:]]
    main()  # type: ignore[no-untyped-call]
