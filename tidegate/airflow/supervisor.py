"""Asking Airflow from a trigger, again while its database is away: a step's result must not be lost for a restart."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds that a question is repeated; longer than a database's restart."""


async def asked(question: Callable[[], Awaitable[T]]) -> T:
    """Return the answer; `question` makes the call anew each time, so it must be one that may be repeated.

    Raises:
        AirflowRuntimeError: Airflow refuses, or cannot answer for `PATIENCE` seconds.
    """
    deadline = asyncio.get_running_loop().time() + PATIENCE
    pause = 0.5
    while True:
        try:
            return await question()
        except AirflowRuntimeError as fault:
            away = fault.error.error is ErrorType.API_SERVER_ERROR
            if not away or asyncio.get_running_loop().time() + pause > deadline:
                raise
        await asyncio.sleep(pause)
        pause = min(pause * 2, 10.0)
