"""What a start finds of earlier starts: attached to, taken over, ended first, or left to be read."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.steps.scene import RUN, RUNNING, Scene, done, oom, play
from tidegate.airflow.attempts import unfinished
from tidegate.airflow.failures import Succeeded


def test_cancelled_start_leaves_the_pod_and_the_next_one_attaches() -> None:
    scene = Scene(None)

    async def story() -> Any:
        first = asyncio.create_task(scene.launch().run())
        name = await scene.pod()
        first.cancel()
        await asyncio.wait({first})
        second = asyncio.create_task(scene.launch().run())
        await asyncio.sleep(0.1)
        await scene.pods.print(name, "printed while nobody looked")
        await scene.pods.settle(name, done())
        return await second

    assert play(scene, story) == Succeeded("{}")
    assert not any(request.startswith("delete") for request in scene.pods.requests)
    assert scene.lines == ["printed while nobody looked"]


def test_a_start_while_the_ledger_is_away_finds_the_pod_that_was_made_under_it() -> None:
    """A restarted triggerer whose ledger is down knows no fencing number; the pod's name has one in it."""
    scene = Scene(None)

    async def story() -> Any:
        first = asyncio.create_task(scene.launch(fence=7).run())
        name = await scene.pod()
        first.cancel()
        await asyncio.wait({first})
        second = asyncio.create_task(scene.launch().run())
        await asyncio.sleep(0.1)
        await scene.pods.settle(name, done())
        return await second

    assert play(scene, story) == Succeeded("{}")
    assert len(scene.created()) == 1


def test_takeover_finds_the_latest_attempt_not_the_first() -> None:
    scene = Scene(None)

    async def story() -> Any:
        first = asyncio.create_task(scene.launch(cap="1Gi").run())
        await scene.pods.settle(await scene.pod(), oom())
        latest = await scene.pod(2)
        first.cancel()
        await asyncio.wait({first})
        second = asyncio.create_task(scene.launch(cap="1Gi").run())
        await asyncio.sleep(0.2)
        await scene.pods.settle(latest, done())
        return await second

    assert play(scene, story) == Succeeded("{}")
    assert len(scene.pods.pods) == 2


def test_pod_of_an_earlier_try_is_gone_before_the_new_one_exists() -> None:
    scene = Scene("import signal, time\nsignal.signal(15, lambda *_: (time.sleep(0.7), exit(0)))\ntime.sleep(60)")
    second = replace(RUN, try_number=2, ti_id="ti-2")

    async def story() -> Any:
        first = asyncio.create_task(scene.launch().run())
        old = await scene.pod()
        await asyncio.sleep(0.3)
        first.cancel()
        await asyncio.wait({first})
        new = asyncio.create_task(scene.launch(second).run())
        await scene.pod(2)
        assert old not in scene.pods.pods
        new.cancel()
        await asyncio.wait({new})

    play(scene, story)
    assert scene.pods.most_alive == 1


def test_pod_of_a_deleted_run_with_the_same_name_is_not_taken_for_ours() -> None:
    scene = Scene(None)

    async def story() -> Any:
        first = asyncio.create_task(scene.launch().run())
        await scene.pods.settle(await scene.pod(), done())
        await first
        again = asyncio.create_task(scene.launch(replace(RUN, ti_id="another")).run())
        async with asyncio.timeout(60):
            while scene.pods.requests.count(f"create {scene.created()[0]}") < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await scene.pods.settle(scene.created()[0], done())
        return await again

    assert play(scene, story) == Succeeded("{}")


def settled(pod: str) -> dict[str, Any]:
    return {"running": RUNNING, "succeeded": done(), "failed": oom()}[pod]


@pytest.mark.parametrize("was", ["running", "succeeded"])
def test_the_pod_of_a_lost_try_is_taken_over(was: str) -> None:
    """A worker that was to end the step was lost before it began: the try counts, the task instance is the same."""
    scene = Scene(None)

    async def story() -> Any:
        name = await abandoned(scene, was)
        second = asyncio.create_task(scene.launch(replace(RUN, try_number=2)).run())
        await asyncio.sleep(0.1)
        await scene.pods.settle(name, done())
        return await second

    assert play(scene, story) == Succeeded("{}")
    assert len(scene.created()) == 1, "the work was done twice"
    assert not any(request.startswith("delete") for request in scene.pods.requests)


@pytest.mark.parametrize(
    ("was", "ti_id", "params"),
    [("succeeded", "cleared", {}), ("failed", "ti-1", {}), ("succeeded", "ti-1", {"target": "other"})],
    ids=["of a try that was cleared", "failed", "other work"],
)
def test_no_other_pod_is_taken_over(was: str, ti_id: str, params: dict[str, str]) -> None:
    scene = Scene(None)

    async def story() -> Any:
        await abandoned(scene, was)
        run = replace(RUN, try_number=2, ti_id=ti_id)
        second = asyncio.create_task(scene.launch(run, params=params).run())
        await scene.pods.settle(await scene.pod(2), done())
        return await second

    assert play(scene, story) == Succeeded("{}")
    assert len(scene.pods.pods) == 2, "what ended earlier stays to be read"


def test_a_lost_try_whose_pod_does_other_work_is_ended_first() -> None:
    scene = Scene(None)

    async def story() -> Any:
        old = await abandoned(scene, "running")
        run = replace(RUN, try_number=2)
        second = asyncio.create_task(scene.launch(run, params={"target": "other"}).run())
        await scene.pods.settle(await scene.pod(2), done())
        assert old not in scene.pods.pods
        return await second

    assert play(scene, story) == Succeeded("{}")
    assert scene.pods.most_alive == 1


async def abandoned(scene: Scene, was: str) -> str:
    """The pod of a first try that nobody follows any more."""
    first = asyncio.create_task(scene.launch().run())
    name = await scene.pod()
    first.cancel()
    await asyncio.wait({first})
    await scene.pods.settle(name, settled(was))
    return name


@pytest.mark.parametrize(
    ("status", "may"),
    [
        ({"phase": "Pending"}, True),
        (RUNNING, True),
        ({**done(), "phase": "Running"}, False),
        ({**oom(), "phase": "Running"}, False),
        (done(), False),
        ({"phase": "Failed"}, False),
    ],
)
def test_a_pod_whose_container_has_ended_does_nothing_more_whatever_its_phase(
    status: dict[str, Any], may: bool
) -> None:
    """The phase follows later; whoever takes up the same work then would delete a pod whose log people read."""
    assert unfinished({"metadata": {"name": "x"}, "status": status}) is may
