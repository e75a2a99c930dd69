"""Several tries of the same work at once: one pod, takeover after the old pod is gone, force, restart, kill."""

# What is waited for happens in other tasks of the loop, or in a process: there is no event to await.
# ruff: noqa: ASYNC110

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent

from tests.steps.ledger_scene import World
from tidegate.airflow import clerk, request
from tidegate.airflow.clerk import close_clerks
from tidegate.airflow.identity import PREFIX
from tidegate.airflow.testing import FakeAirflow, make_trigger
from tidegate.airflow.watch import close_shared, connector
from tidegate.ledger import Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from airflow.triggers.base import TriggerEvent

    from tidegate.airflow.local_pods import LocalPods
    from tidegate.airflow.trigger import StepTrigger

SLOW = "import time; time.sleep(1)"
ENDLESS = "import time; time.sleep(60)"
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.7), os._exit(1)))
time.sleep(60)
"""


@pytest.fixture
def world(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(clerk, "BEAT_SECONDS", 0.2)
    return World(folder=tmp_path, address=address)


class Triggerer:
    """Several triggers on one loop and one cluster, as a triggerer runs them."""

    def __init__(self, world: World, pods: LocalPods) -> None:
        self.world, self.pods = world, pods
        self.comms = FakeAirflow({})
        self.triggers: list[StepTrigger] = []

    def start(self, run_id: str, *, dag: Any = None, **more: Any) -> asyncio.Task[TriggerEvent]:
        task = (dag or self.world.dag()).get_task("work")
        trigger = make_trigger(task, comms=self.comms, run_id=run_id, **more)
        self.triggers.append(trigger)
        return asyncio.create_task(_event(trigger), name=run_id)

    def created(self) -> list[str]:
        return [line.removeprefix("create ") for line in self.pods.requests if line.startswith("create ")]

    async def until_created(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.created()) < count:
                await asyncio.sleep(0.02)


async def _event(trigger: StepTrigger) -> TriggerEvent:
    events = [event async for event in trigger.run()]
    return events[0]


@asynccontextmanager
async def triggerer(world: World) -> AsyncIterator[Triggerer]:
    pods = world.pods()

    async def connected(_: str, *, connection: str | None) -> LocalPods:
        assert connection is None
        return pods

    connector.set(connected)
    scene = Triggerer(world, pods)
    with scene.comms.installed():
        async with asyncio.timeout(180):
            yield scene
        await close_clerks()
        await close_shared()
    await pods.close()


def short_leases(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(request, "Request", partial(Request, lease=timedelta(seconds=seconds)))


async def cancel(task: asyncio.Task[Any]) -> None:
    """What a triggerer that stops does: no `on_kill`."""
    task.cancel()
    await asyncio.wait({task})


def test_twenty_at_once_start_one_pod(world: World) -> None:
    world.before = SLOW

    async def case() -> None:
        async with triggerer(world) as scene:
            events = await asyncio.gather(*(scene.start(f"r{number}") for number in range(20)))
            assert all(isinstance(event, TaskSuccessEvent) for event in events)
            assert len(scene.created()) == 1

    asyncio.run(case())
    assert world.ran == 1
    assert sorted(use.verdict for use in world.uses()) == ["hit"] * 19 + ["run"]


def test_no_more_pods_of_a_pipeline_run_at_once_than_its_limit(world: World) -> None:
    world.before = "import time; time.sleep(0.5)"
    world.limits = {"pipelines": {"d": 2}}

    async def case() -> None:
        async with triggerer(world) as scene:
            events = await asyncio.gather(*(scene.start(f"r{n}", dag=world.dag(params={"n": n})) for n in range(6)))
            assert all(isinstance(event, TaskSuccessEvent) for event in events)
            assert len(scene.created()) == 6
            assert scene.pods.most_alive == 2

    asyncio.run(case())


def test_a_holder_that_is_gone_is_taken_over_after_its_pod(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pod of the lost holder takes its time to end; until then no other one starts."""
    world.before = STUBBORN
    short_leases(monkeypatch, 1.0)

    async def case() -> None:
        async with triggerer(world) as scene:
            lost = scene.start("r1")
            await scene.until_created(1)
            await asyncio.sleep(0.5)
            await cancel(lost)
            await close_clerks()
            world.before = ""
            scene.pods.commands = world.pods().commands
            assert isinstance(await scene.start("r2"), TaskSuccessEvent)
            first, second = scene.created()
            assert first != second
            assert scene.pods.most_alive == 1
            assert f"delete {first}" in scene.pods.requests

    asyncio.run(case())
    assert world.ran == 1
    assert [use.row.reason for use in world.uses()] == ["lease_lapsed", "new"]


def test_force_during_a_run_replaces_it_and_both_get_the_new_result(world: World) -> None:
    world.before = ENDLESS

    async def case() -> None:
        async with triggerer(world) as scene:
            first = scene.start("r1")
            await scene.until_created(1)
            world.before = ""
            scene.pods.commands = world.pods().commands
            second = scene.start("r2", dag=world.dag(force=True))
            assert isinstance(await second, TaskSuccessEvent)
            assert isinstance(await first, TaskSuccessEvent)
            assert len(scene.created()) == 2, "the run that was replaced starts no pod again"
            assert scene.pods.most_alive == 1

    asyncio.run(case())
    assert world.ran == 1
    verdicts = {use.task.run_id: (use.verdict, use.row.reason) for use in world.uses()}
    assert verdicts == {"r1": ("hit", "forced"), "r2": ("run", "forced")}


def test_a_triggerer_that_is_started_anew_goes_on_with_its_own_pod(world: World) -> None:
    world.before = SLOW

    async def case() -> None:
        async with triggerer(world) as scene:
            first = scene.start("r1")
            await scene.until_created(1)
            trigger = scene.triggers[0]
            await cancel(first)
            await close_clerks()
            ti_id = trigger.task_instance.id
            assert isinstance(await scene.start("r1", ti_id=ti_id), TaskSuccessEvent)
            assert len(scene.created()) == 1

    asyncio.run(case())
    assert world.ran == 1
    assert [(use.verdict, use.row.attempt) for use in world.uses()] == [("run", 1)]


def test_a_triggerer_that_dies_between_close_and_event_tells_the_end_again(world: World) -> None:
    async def case() -> None:
        async with triggerer(world) as scene:
            assert isinstance(await scene.start("r1"), TaskSuccessEvent)
            assert isinstance(await scene.start("r1"), TaskSuccessEvent)
            assert len(scene.created()) == 1

    asyncio.run(case())
    assert world.ran == 1


def test_bad_input_is_told_again_as_it_was(world: World) -> None:
    world.before = "raise SystemExit(2)"

    async def case() -> None:
        async with triggerer(world) as scene:
            events = [await scene.start("r1"), await scene.start("r1")]
            assert all(isinstance(event, TaskFailedEvent) for event in events)
            assert scene.comms.written["failure"]["kind"] == "bad_input"
            assert len(scene.created()) == 1

    asyncio.run(case())


def test_a_task_that_a_person_stops_holds_nobody_up(world: World) -> None:
    world.before = ENDLESS

    async def case() -> None:
        async with triggerer(world) as scene:
            first = scene.start("r1")
            await scene.until_created(1)
            await cancel(first)
            scene.comms.state = "failed"
            await scene.triggers[0].on_kill()
            world.before = ""
            scene.pods.commands = world.pods().commands
            begun = time.monotonic()
            assert isinstance(await scene.start("r2"), TaskSuccessEvent)
            assert time.monotonic() - begun < 60, "it waited for the lease to lapse"
            assert scene.pods.most_alive == 1

    asyncio.run(case())
    assert [use.row.exit_reason for use in world.uses()] == ["", "stopped"]


def test_a_cleared_task_does_not_wait_for_its_own_earlier_try(world: World) -> None:
    """The new try may begin before the old one was told to end, and then the old one leaves its pod alone."""
    world.before = ENDLESS

    async def case() -> None:
        async with triggerer(world) as scene:
            first = scene.start("r1")
            await scene.until_created(1)
            await cancel(first)
            world.before = ""
            scene.pods.commands = world.pods().commands
            assert isinstance(await scene.start("r1", try_number=2), TaskSuccessEvent)
            assert scene.pods.most_alive == 1

    asyncio.run(case())
    assert world.ran == 1


def test_a_lease_is_renewed_while_the_pod_runs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.before = "import time; time.sleep(2.5)"
    short_leases(monkeypatch, 1.5)

    async def case() -> None:
        async with triggerer(world) as scene:
            events = await asyncio.gather(scene.start("r1"), scene.start("r2"))
            assert all(isinstance(event, TaskSuccessEvent) for event in events)
            assert len(scene.created()) == 1

    asyncio.run(case())
    assert world.ran == 1


def test_a_pod_says_which_work_it_does_and_by_which_number(world: World) -> None:
    async def case() -> None:
        async with triggerer(world) as scene:
            await scene.start("r1")
            (pod,) = scene.pods.pods.values()
            labels = pod["metadata"]["labels"]
            assert labels[f"{PREFIX}fence"] == "1"
            told = {one["name"]: one.get("value", "") for one in pod["spec"]["containers"][0]["env"]}
            assert f'"ledger_key": "{labels[f"{PREFIX}key"]}' in told["TIDEGATE_RUN"]

    asyncio.run(case())
