"""A pod's log as lines of the task log: live, each line once, with a last sweep when the pod has ended.

Reads: the container's log with the node's timestamps. Writes: every line through `emit(text, timestamp)`.
Again: a broken stream is opened again from the last line's second on, and lines already seen are left out. After a
restart of the triggerer the log is read from its start, so that what this process writes is complete by itself.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp

from tidegate.airflow.kube import KubeError, NotFound
from tidegate.airflow.pod import CONTAINER

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegate.airflow.kube import Pods

LONGEST_LINE = 32 * 1024
"""Bytes after which a line is cut in two: a progress bar or a binary dump may never end its line."""

DRAIN_SECONDS = 5.0
"""How long the live stream may take to reach its end after the container has ended."""

REOPEN_SECONDS = 1.0
"""Pause before a stream that was cut is opened again."""

ENDED_SECONDS = 4.0
"""The same where it came to its end: most likely the container has ended, which is told a second or two later."""

SWEEP_TRIES = 4
"""Times the final read is tried; a node that is gone never answers."""

_BATCH = 200
_CUT = (KubeError, aiohttp.ClientError, TimeoutError, ConnectionError)


class PodLog:
    """The log of one pod's container, from its first line to its last."""

    def __init__(self, pods: Pods, name: str, *, emit: Callable[[str, str], None]) -> None:
        self._pods, self._name, self._emit = pods, name, emit
        self._last = ""
        self._same = 0
        self._task: asyncio.Task[None] | None = None
        self._over = asyncio.Event()

    def start(self) -> None:
        """Follow from now on, in a task of its own; a second call does nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow(), name=f"log-{self._name}")

    async def finish(self) -> str:
        """Take what is still to come from a container that has ended; return "" or why the log may be short."""
        self._over.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=DRAIN_SECONDS)
        await self.stop()
        return await self._sweep()

    async def stop(self) -> None:
        """Stop following, without a last look."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _follow(self) -> None:
        """Stay on the stream; one that ends while its container runs was cut, and is taken up from the last line."""
        while True:
            pause = REOPEN_SECONDS
            with suppress(*_CUT):
                await self._read(follow=True)
                pause = ENDED_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._over.wait()
                return

    async def _sweep(self) -> str:
        fault: BaseException | None = None
        for attempt in range(SWEEP_TRIES):
            try:
                await self._read(follow=False)
            except NotFound:
                return "" if self._task is not None else "the pod was gone before its log could be read"
            except _CUT as error:
                fault = error
                await asyncio.sleep(0.5 * 2**attempt)
            else:
                return ""
        return f"its end could not be read ({fault})"

    async def _read(self, *, follow: bool) -> None:
        resume, skip = self._last, self._same
        rest = b""
        since = resume or None
        count = 0
        async for chunk in self._pods.log(self._name, container=CONTAINER, since=since, follow=follow):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LONGEST_LINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                skip = self._take(line, resume, skip)
                count += 1
                if count % _BATCH == 0:
                    await asyncio.sleep(0)
        if rest:
            self._take(rest, resume, skip)

    def _take(self, raw: bytes, resume: str, skip: int) -> int:
        """Emit one line unless it was seen before the stream was opened again; return how many are left to skip."""
        stamp, _, text = raw.decode(errors="replace").rstrip("\r").partition(" ")
        if not _is_stamp(stamp):
            stamp, text = self._last, f"{stamp} {text}".strip()
        elif stamp < resume:
            return skip
        elif stamp == resume and skip:
            return skip - 1
        self._same = self._same + 1 if stamp == self._last else 1
        self._last = stamp
        self._emit(text, stamp)
        return skip


def _is_stamp(text: str) -> bool:
    """Whether a word is the node's timestamp; the second half of a line that was cut has none."""
    return len(text) >= len("2026-01-01T00:00:00Z") and text[4:5] == "-" and text[10:11] == "T"


def micros(stamp: str) -> str:
    """Cut the node's nanoseconds to the microseconds that Airflow's log reader takes."""
    head, _, tail = stamp.partition(".")
    digits = tail.rstrip("Z")
    return f"{head}.{digits[:6]}Z" if tail.endswith("Z") else stamp
