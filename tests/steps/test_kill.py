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

from tidegate.airflow import notice
from tidegate.airflow.local_pods import LocalPods
from tidegate.airflow.reconcile import _followed, reconcile
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


TELLS = """
import os, pathlib, signal, sys, time
told = pathlib.Path(os.environ["TIDEGATE_STOPPED_FILE"])
def stop(*_):
    os.write(1, f"told: {told.read_text() or 'nothing'}\\n".encode())  # print may be at work below, and bears no other
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(60)
"""


class Told(Kill):
    """A step that is told why it is stopped."""

    def __init__(self, state: str, **spec: Any) -> None:
        super().__init__(state)
        entry = {"image": "x", "resources": {"limits": {"memory": "1Mi"}}, "cancel_notice": True, **spec}
        self.pods.data["work"] = json.dumps(entry)
        self.pods.commands["work"] = [sys.executable, "-c", TELLS]

    def words(self, ending: Any) -> str:
        """Start the step, end it in some way, and return what it printed."""

        async def connect(namespace: str, *, connection: str | None) -> LocalPods:
            return self.pods

        async def consume() -> None:
            async for _ in self.trigger.run():
                pass

        async def story() -> str:
            connector.set(connect)
            with self.comms.installed():
                task = asyncio.create_task(consume())
                async with asyncio.timeout(20):
                    while not any("ready" in text for lines in self.pods._logs.values() for _, text in lines):
                        await asyncio.sleep(0.01)
                    task.cancel()
                    await asyncio.wait({task})
                    await ending(self)
                    while not any("told" in text for lines in self.pods._logs.values() for _, text in lines):
                        await asyncio.sleep(0.01)
                await self.pods.close()
            return "\n".join(text for lines in self.pods._logs.values() for _, text in lines)

        return asyncio.run(story())


async def by_person(scene: Told) -> None:
    await scene.trigger.on_kill()


async def by_eviction(scene: Told) -> None:
    for name in list(scene.pods.pods):
        await scene.pods.delete(name)


async def by_reconcile(scene: Told) -> None:
    for pod in scene.pods.pods.values():
        pod["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    await reconcile(scene.pods, lambda ids: dict.fromkeys(ids, "failed"))


def test_a_step_that_listens_is_told_that_a_person_stopped_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notice, "SECONDS", 0.2)
    assert "told: the task was stopped in Airflow" in Told("failed").words(by_person)


def test_a_step_that_is_evicted_is_told_nothing() -> None:
    assert "told: nothing" in Told("deferred").words(by_eviction)


def test_the_reaper_tells_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """A triggerer that was down when the task was stopped."""
    monkeypatch.setattr(notice, "SECONDS", 0.2)
    assert "told: the task was stopped in Airflow" in Told("failed").words(by_reconcile)


def test_the_reaper_leaves_to_a_later_try_what_the_earlier_one_began() -> None:
    instance = {f"tidegate.dev/{key}": "x" for key in ("dag", "task", "run", "map-index")}
    old, new = ({"metadata": {"labels": instance, "annotations": {"tidegate.dev/ti-id": ti}}} for ti in ("1", "2"))
    alone = {"metadata": {"labels": {}, "annotations": {"tidegate.dev/ti-id": "3"}}}
    assert [_followed(pod, [old, new, alone]) for pod in (old, alone)] == [True, False]


def test_a_step_that_does_not_listen_gets_no_volume_and_no_pause() -> None:
    scene = Told("failed", cancel_notice=False)
    scene.pods.commands["work"] = SLEEPS["work"]
    assert scene.play(ends=True)
    assert not [request for request in scene.pods.requests if request.startswith("patch")]
