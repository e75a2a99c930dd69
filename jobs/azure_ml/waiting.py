"""Waiting for what Azure does: with signs of life, with patience for its outages, and with an end.

A look that fails for want of an answer, of a token or of room is made again until `patience` is over; then what is
waited for goes on without us, and the next try finds it.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core.exceptions import AzureError

from jobs.azure_ml.faults import translated
from tidegate.step import AccessDenied, StepError, TryAgain

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.polling import LROPoller

T = TypeVar("T")
log = logging.getLogger(__name__)

HEARTBEAT = 300.0
"""Seconds without news after which a line says so."""


@dataclass
class Watch:
    """Looks at one thing again and again.

    Args:
        what: What is waited for, such as `job x`.
        poll: Seconds between two looks.
        patience: Seconds that looks may fail.
    """

    what: str
    poll: float
    patience: float
    began: float = field(default_factory=time.monotonic)
    state: str = ""
    since: float = field(default_factory=time.monotonic)
    _said: float = field(default_factory=time.monotonic)

    def note(self, state: str, more: str = "") -> None:
        """Say so where the state is another, or where nothing was said for long."""
        now = time.monotonic()
        if state != self.state:
            log.info("azure_ml: %s is %s%s", self.what, state, f" {more}" if more else "")
            self.state, self.since, self._said = state, now, now
        elif now - self._said >= HEARTBEAT:
            log.info("azure_ml: %s is still %s, for %.0f min", self.what, state, (now - self.since) / 60)
            self._said = now

    def pause(self) -> None:
        """Until the next look."""
        time.sleep(self.poll)

    def look(self, ask: Callable[[], T]) -> T:
        """What `ask` answers, in spite of outages.

        Raises:
            StepError: It fails for another reason, or longer than `patience`.
        """
        first = time.monotonic()
        while True:
            try:
                return ask()
            except (AzureError, StepError) as error:
                fault = error if isinstance(error, StepError) else translated(error, self.what)
                if not isinstance(fault, TryAgain | AccessDenied) or time.monotonic() - first >= self.patience:
                    raise fault from error
                log.info("azure_ml: looking again: %s", str(fault).partition("\n")[0])
            self.pause()


def bounded(call: Callable[[], T], *, seconds: float, doing: str) -> T:
    """What `call` returns, within `seconds`: an upload of the SDK that lost a file waits for it for ever.

    Raises:
        TryAgain: It is not over by then; its thread ends with the process.
    """
    ends: list[T | BaseException] = []

    def work() -> None:
        try:
            ends.append(call())
        except BaseException as error:  # raised again in the thread that waits
            ends.append(error)

    thread = threading.Thread(target=work, daemon=True, name=doing)
    thread.start()
    thread.join(seconds)
    if not ends:
        raise TryAgain(f"{doing}: not over within {seconds:g} s ($AZURE_ML_SUBMIT_SECONDS); an upload may hang")
    if isinstance(ends[0], BaseException):
        raise ends[0]
    return ends[0]


def finish(poller: LROPoller[Any], watch: Watch, ask: Callable[[], str], *, good: frozenset[str]) -> None:
    """Wait for an operation of Resource Manager; where its poller is lost, for the thing's own state.

    Args:
        poller: The SDK's; its threads end with the process.
        watch: Says what goes on.
        ask: The thing's state, in the words of Azure.
        good: States that it may end in.

    Raises:
        StepError: The operation failed; its text is Azure's.
    """
    try:
        while not poller.done():
            watch.note(str(poller.status()))
            poller.wait(watch.poll)
        poller.result()
    except AzureError as error:
        fault = translated(error, watch.what)
        if not isinstance(fault, TryAgain | AccessDenied):
            raise fault from error
        settle(watch, ask, good=good)


def settle(watch: Watch, ask: Callable[[], str], *, good: frozenset[str]) -> str:
    """Wait until the thing's own state is one of `good`, or one that it stays in.

    Raises:
        StepError: It stays in another.
    """
    while True:
        state = watch.look(ask)
        watch.note(state)
        if state in good:
            return state
        if state in STUCK:
            raise StepError(f"{watch.what} is {state}; look at its page in the studio")
        watch.pause()


STUCK = frozenset({"Failed", "Canceled", "CreateFailed", "SetupFailed", "Unusable", "UserSetupFailed", "JobFailed"})
"""States that nothing comes after by itself."""
