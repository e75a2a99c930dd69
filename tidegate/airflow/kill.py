"""The end of a pod whose task a person stopped, unless the task lives on elsewhere.

Airflow calls `on_kill` also of a triggerer that froze and lost its triggers, while another one follows the same pod,
and it allows about a second. So the task's state is asked for first, and the work goes on by itself when cut short.
Again: a pod that is on its way out, finished or gone is left as it is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import GetTaskStates

from tidegate.airflow.identity import UNMAPPED
from tidegate.airflow.launch import stop_pods
from tidegate.airflow.watch import shared

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tidegate.airflow.identity import Identity

STATE_SECONDS = 5.0
"""Seconds to learn the task's state before a pod is ended."""

ALIVE = frozenset({"deferred"})
"""State of a task that another triggerer, or its next try, may be running now: neither is ours to end."""

_endings: set[asyncio.Task[None]] = set()
"""Pods being ended by `on_kill`: Airflow cancels it after about a second, these go on."""


async def end_pods(
    run: Identity, namespace: str, *, connection: str | None, ask: bool, say: Callable[..., None]
) -> bool:
    """Mark this try's pods for deletion, unless the task may be alive elsewhere; returns whether it is over.

    Args:
        run: The try.
        namespace: Where its pods are.
        connection: As in `StepTrigger`.
        ask: False where it is known that nobody else runs the task.
        say: Takes a line for the task log.
    """
    if ask and (state := await _state(run)) in ALIVE:
        say("the task is %s again, its pod is left to whoever runs it now", state)
        return False
    async with shared(namespace, connection=connection) as watch:
        for name in await stop_pods(watch, run):
            say("deleted pod %s, as the task was stopped", name)
    return True


def in_background(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Start work that nobody's cancellation ends."""
    task = asyncio.create_task(work)
    _endings.add(task)
    task.add_done_callback(_endings.discard)
    return task


async def _state(run: Identity) -> str:
    """Return the task instance's state in Airflow's database, "" where it has none.

    Raises:
        Exception: It cannot be learnt; then no pod is ended, the reaper will.
    """
    index = None if run.map_index == UNMAPPED else run.map_index
    request = GetTaskStates(dag_id=run.dag_id, run_ids=[run.run_id], task_ids=[run.task_id], map_index=index)
    async with asyncio.timeout(STATE_SECONDS):
        answer = await task_runner.SUPERVISOR_COMMS.asend(request)
    states: dict[str, Any] = getattr(answer, "task_states", {}).get(run.run_id, {})
    return str(next(iter(states.values()), None) or "")
