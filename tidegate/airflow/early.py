"""Values that a step tells while it runs, so that they are there before it ends, or when it fails.

A line `TIDEGATE_VALUE {"name": "studio_url", "value": "https://…"}` in a pod's log becomes an XCom of that name at
once; the line itself is not shown. Reads: lines. Writes: XComs of the task instance. Again: the same value once more,
as after a restart of the triggerer, which reads the log from its start.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from tidegate.airflow.results import RESERVED, leave_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegate.airflow.identity import Identity

MARK = "TIDEGATE_VALUE "
LIMIT = 2048
"""Characters of a line at most: a value is a name or an address, data goes into outputs."""


def value_in(line: str) -> tuple[str, Any] | None:
    """Return name and value that a line tells; None for any other line, an unusable one included."""
    if not line.startswith(MARK) or len(line) > LIMIT:
        return None
    try:
        told = json.loads(line.removeprefix(MARK))
        name, value = told["name"], told["value"]
    except (ValueError, KeyError, TypeError):
        return None
    usable = isinstance(name, str) and name and name not in RESERVED and not name.startswith("_")
    return (name, value) if usable else None


class Early:
    """Writes the values of one task instance in the order in which they were told.

    Args:
        run: Whose they are.
        say: Takes a line for the task log, and what is put into it.
    """

    def __init__(self, run: Identity, *, say: Callable[..., None]) -> None:
        self._run, self._say = run, say
        self._written: dict[str, Any] = {}
        self._last: asyncio.Task[None] | None = None

    def take(self, line: str) -> bool:
        """Whether a line tells a value; then it is written in the background."""
        told = value_in(line)
        if told is None:
            return False
        name, value = told
        if name not in self._written or self._written[name] != value:
            self._written[name] = value
            self._say("%s: %s", name, value)
            self._last = asyncio.create_task(self._write(name, value, after=self._last))
        return True

    async def done(self) -> None:
        """Wait until all is written."""
        if self._last is not None:
            await asyncio.wait({self._last})

    async def _write(self, name: str, value: Any, *, after: asyncio.Task[None] | None) -> None:  # noqa: ANN401 - any JSON
        if after is not None:
            await asyncio.wait({after})
        try:
            await leave_value(name, value, self._run)
        except Exception as fault:
            self._say("the value %s was not kept: %s: %s", name, type(fault).__name__, fault)
