"""One try's pods: found or made, never doubled, started anew where that is free."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from tests.steps.scene import RUN, Scene, done, lost, oom, play
from tidegate.airflow import attempts
from tidegate.airflow.failures import Failure, Kind, Succeeded, Then
from tidegate.airflow.kube import error_of
from tidegate.airflow.launch import stop_pods


def test_two_starts_of_the_same_try_share_one_pod() -> None:
    scene = Scene("import time; time.sleep(1)")

    async def story() -> Any:
        return await asyncio.gather(scene.launch().run(), scene.launch().run())

    assert play(scene, story) == [Succeeded(""), Succeeded("")]
    assert len(scene.pods.pods) == 1


def test_pod_lost_before_its_start_is_made_anew_for_free() -> None:
    scene = Scene(None)

    async def story() -> Any:
        running = asyncio.create_task(scene.launch().run())
        await scene.pods.settle(await scene.pod(), lost())
        await scene.pods.settle(await scene.pod(2), done())
        return await running

    assert play(scene, story) == Succeeded("{}")
    assert len(set(scene.created())) == 2, "the second attempt needs a name of its own"


def test_free_starts_end_and_then_the_retries_of_the_task_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.airflow.launch.MOST_RELAUNCHES", 1)
    scene = Scene(None)

    async def story() -> Any:
        running = asyncio.create_task(scene.launch().run())
        for count in (1, 2):
            await scene.pods.settle(await scene.pod(count), lost())
        return await running

    failure = play(scene, story)
    assert (failure.kind, failure.then) == (Kind.NOT_ADMITTED, Then.RETRY)


@pytest.mark.parametrize(("reason", "then"), [("OOMKilled", Then.STOP), ("Error", Then.RETRY)])
def test_out_of_memory_gets_more_up_to_the_cap_and_then_fails_for_good_where_the_node_said_so(
    reason: str, then: Then
) -> None:
    scene = Scene(None)
    limits: list[str] = []

    async def story() -> Any:
        running = asyncio.create_task(scene.launch(cap="700Mi").run())
        for count in (1, 2, 3):
            name = await scene.pod(count)
            limits.append(scene.pods.pods[name]["spec"]["containers"][0]["resources"]["limits"]["memory"])
            await scene.pods.settle(name, oom(reason))
        return await running

    failure = play(scene, story)
    assert limits == ["256Mi", "512Mi", "700Mi"]
    assert (failure.kind, failure.then) == (Kind.OUT_OF_MEMORY, then)
    assert "700Mi" in failure.message


def test_permanent_start_failure_ends_within_ten_seconds_and_leaves_no_pod() -> None:
    scene = Scene(None)
    missing = {"reason": "CreateContainerConfigError", "message": 'secret "step-work" not found'}

    async def story() -> Any:
        running = asyncio.create_task(scene.launch().run())
        state = [{"name": "base", "state": {"waiting": missing}}]
        await scene.pods.settle(await scene.pod(), {"phase": "Pending", "containerStatuses": state})
        async with asyncio.timeout(10):
            return await running

    failure = play(scene, story)
    assert (failure.kind, failure.then) == (Kind.SECRET_MISSING, Then.STOP)
    assert 'secret "step-work" not found' in failure.message
    assert scene.pods.pods == {}


def test_transient_start_failure_waits_and_then_runs() -> None:
    scene = Scene(None)
    busy = {"reason": "ErrImagePull", "message": "429 Too Many Requests"}

    async def story() -> Any:
        running = asyncio.create_task(scene.launch().run())
        name = await scene.pod()
        state = [{"name": "base", "state": {"waiting": busy}}]
        await scene.pods.settle(name, {"phase": "Pending", "containerStatuses": state})
        await asyncio.sleep(4)
        assert not running.done()
        await scene.pods.settle(name, done())
        return await running

    assert play(scene, story) == Succeeded("{}")


def test_own_timeout_ends_the_pod_and_the_try() -> None:
    scene = Scene("import time; print('hi', flush=True); time.sleep(60)")
    failure = play(scene, lambda: scene.launch(total=1.5).run())
    assert (failure.kind, failure.then) == (Kind.DEADLINE, Then.RETRY)
    assert any(request.startswith("delete") for request in scene.pods.requests)


def test_no_line_is_lost_when_the_pod_is_killed_after_printing() -> None:
    scene = Scene("import os\nfor i in range(3000): print('line', i)\nos.kill(os.getpid(), 9)")
    failure = play(scene, lambda: scene.launch().run())
    assert isinstance(failure, Failure)
    assert scene.lines == [f"line {i}" for i in range(3000)]


def test_only_pods_of_this_very_try_are_stopped() -> None:
    scene = Scene("import time; time.sleep(60)")

    async def story() -> Any:
        launches = [scene.launch(), scene.launch(replace(RUN, map_index=1, ti_id="other"))]
        tasks = [asyncio.create_task(launch.run()) for launch in launches]
        await scene.pod(2)
        await asyncio.sleep(0.2)
        stopped = await stop_pods(scene.watch, RUN)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return stopped

    assert len(play(scene, story)) == 1


@pytest.mark.parametrize(
    ("now", "cap", "expected"),
    [
        ("256Mi", "", ""),
        ("256Mi", "1Gi", "512Mi"),
        ("768Mi", "1Gi", "1Gi"),
        ("1Gi", "1024Mi", ""),
        ("500M", "4G", "953Mi"),
    ],
)
def test_memory_doubles_up_to_the_cap(now: str, cap: str, expected: str) -> None:
    assert attempts.more_memory(now, cap=cap) == expected


REFUSALS = [
    (403, 'error looking up service account tidegate-steps/pipeline-d: serviceaccount "pipeline-d" not found',
     Then.STOP, "add pipelines.d to the chart's values"),
    (403, 'pods "x" is forbidden: exceeded quota: compute', Then.RETRY, "exceeded quota"),
    (403, 'pods "x" is forbidden: violates PodSecurity "restricted"', Then.STOP, "violates PodSecurity"),
    (404, 'namespaces "tidegate-steps" not found', Then.STOP, "namespaces"),
    (422, "spec.containers[0].image: Required value", Then.STOP, "Required value"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "message", "then", "said"), REFUSALS, ids=[case[3][:12] for case in REFUSALS])
def test_a_pod_that_kubernetes_refuses_is_explained(status: int, message: str, then: Then, said: str) -> None:
    scene = Scene()

    async def create(_pod: dict[str, Any]) -> dict[str, Any]:
        raise error_of(status, json.dumps({"reason": "Refused", "message": message}))

    scene.pods.create = create  # type: ignore[method-assign]
    failure = play(scene, lambda: scene.launch().run())
    assert failure.then is then
    assert said in failure.message
