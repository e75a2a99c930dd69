"""What ends a step's pod, and what does not: people, timeouts, shutdowns, triggerers that froze."""

# ruff: noqa: ASYNC110

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from tidegate.airflow.local_pods import LocalPods
from tidegate.airflow.steps import step
from tidegate.airflow.testing import FakeAirflow, make_trigger
from tidegate.airflow.watch import connector

SLEEPS = {"work": [sys.executable, "-c", "import time; time.sleep(60)"]}


class Kill:
    """A trigger whose pod runs, and what `on_kill` does to it."""

    def __init__(self, state: str) -> None:
        with DAG("d", schedule=None) as dag:
            step("work")
        config = {"_platform": json.dumps({"store_root": "s3://b"})}
        config["work"] = json.dumps({"image": "x", "resources": {"limits": {"memory": "1Mi"}}})
        self.pods = LocalPods(config=config, commands=SLEEPS)
        self.comms = FakeAirflow({}, state=state)
        self.trigger = make_trigger(dag.get_task("work"), comms=self.comms, ti_id=uuid.uuid4())

    def play(self, *, ends: bool, cut_after: float | None = None) -> list[str]:
        """Start, cancel as Airflow does, call `on_kill`; which pods were deleted, waited for where one `ends`."""

        async def connect(namespace: str, *, connection: str | None) -> LocalPods:
            return self.pods

        async def consume() -> None:
            async for _ in self.trigger.run():
                pass

        async def story() -> None:
            connector.set(connect)
            with self.comms.installed():
                task = asyncio.create_task(consume())
                async with asyncio.timeout(60):
                    while not any(pod["status"]["phase"] == "Running" for pod in self.pods.pods.values()):
                        await asyncio.sleep(0.01)
                task.cancel("__airflow_user_action__")
                await asyncio.wait({task})
                killing = asyncio.create_task(self.trigger.on_kill())
                await asyncio.wait({killing}, timeout=cut_after)
                killing.cancel()
                await self._settle(until_deleted=ends)
                await self.pods.close()

        asyncio.run(story())
        return self._deleted()

    def _deleted(self) -> list[str]:
        return [request for request in self.pods.requests if request.startswith("delete")]

    async def _settle(self, *, until_deleted: bool) -> None:
        """Half a second for what should not happen, a minute for what should."""
        async with asyncio.timeout(60):
            while until_deleted and not self._deleted():
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)


@pytest.mark.parametrize("state", ["failed", "success", "skipped", ""])
def test_pod_is_ended_when_a_person_ended_the_task(state: str) -> None:
    assert len(Kill(state).play(ends=True)) == 1


def test_pod_is_left_alone_when_the_task_lives_on_another_triggerer() -> None:
    """A triggerer that froze loses its triggers and is told to kill them, though another one follows the pod now."""
    assert Kill("deferred").play(ends=False) == []


def test_pod_is_ended_although_airflow_cuts_on_kill_short() -> None:
    kill = Kill("failed")
    slow = kill.pods.select

    async def select(selector: str) -> Any:
        await asyncio.sleep(0.2)
        return await slow(selector)

    kill.pods.select = select  # type: ignore[method-assign]
    assert len(kill.play(ends=True, cut_after=0.05)) == 1


def test_airflows_own_timeout_ends_the_pod_though_it_calls_no_on_kill() -> None:
    """It is the net behind our own timeouts, for a trigger that hangs."""
    kill = Kill("deferred")
    kill.trigger.timeout_after = datetime.now(tz=UTC) - timedelta(seconds=1)

    async def nothing() -> None:
        return

    kill.trigger.on_kill = nothing  # type: ignore[method-assign]
    assert len(kill.play(ends=True)) == 1


def test_shutdown_of_the_triggerer_leaves_the_pod() -> None:
    kill = Kill("deferred")

    async def nothing() -> None:
        return

    kill.trigger.on_kill = nothing  # type: ignore[method-assign]
    assert kill.play(ends=False) == []


def test_the_dag_is_let_go_once_the_step_has_its_values() -> None:
    """Each trigger unpacks the whole DAG; kept, five hundred waiting steps are gigabytes."""
    kill = Kill("deferred")
    kill.play(ends=False)
    assert kill.trigger._context is None
    assert kill.trigger.task is None
