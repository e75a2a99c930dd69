"""One try's pods: found or made, never doubled, started anew where that is free."""

# ruff: noqa: ANN401, ASYNC110

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tidegate.airflow import attempts
from tidegate.airflow.failures import Failure, Kind, Succeeded, Then
from tidegate.airflow.identity import Identity
from tidegate.airflow.launch import Budgets, Launch, stop_pods
from tidegate.airflow.local_pods import LocalPods
from tidegate.airflow.order import make_order
from tidegate.airflow.watch import PodWatch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

RUN = Identity(
    dag_id="d", run_id="r", task_id="t", try_number=1, logical_date="2026-01-01T00:00:00+00:00", ti_id="ti-1"
)
CONFIG = {
    "_platform": json.dumps({"store_root": "s3://b"}),
    "work": json.dumps({"image": "x", "resources": {"limits": {"memory": "256Mi"}}}),
}
OK = "import os; print('one'); open(os.environ['TIDEGATE_RESULT'], 'w').write('{}')"
STARTED = "2026-01-01T00:00:00Z"


class Scene:
    """A cluster, its watch, and what was said and logged."""

    def __init__(self, code: str | None = OK) -> None:
        self.pods = LocalPods(config=CONFIG, commands={"work": [sys.executable, "-u", "-c", code]} if code else {})
        self.watch = PodWatch(self.pods)
        self.said: list[str] = []
        self.lines: list[str] = []

    def launch(self, run: Identity = RUN, *, cap: str = "", **budgets: Any) -> Launch:
        order = make_order(CONFIG, run, step="work", namespace="tidegate-steps", params={}, inputs={}, output=None)
        return Launch(
            order,
            watch=self.watch,
            budgets=Budgets(**budgets),
            memory_cap=cap,
            say=self.said.append,
            emit=lambda text, _stamp: self.lines.append(text),
        )

    async def pod(self, count: int = 1) -> str:
        """Wait for the newest of `count` pods that were ever created."""
        async with asyncio.timeout(10):
            while len(self.created()) < count:
                await asyncio.sleep(0.01)
        return self.created()[-1]

    def created(self) -> list[str]:
        return [request.split()[1] for request in self.pods.requests if request.startswith("create")]


def play(scene: Scene, story: Callable[[], Awaitable[Any]]) -> Any:
    """Run a story with the watch open."""

    async def run() -> Any:
        watching = asyncio.create_task(scene.watch.run())
        try:
            async with asyncio.timeout(30):
                return await story()
        finally:
            watching.cancel()
            await asyncio.wait({watching})
            await scene.pods.close()

    return asyncio.run(run())


def lost(reason: str = "OutOfcpu") -> dict[str, Any]:
    return {"phase": "Failed", "reason": reason, "message": "no room"}


def oom() -> dict[str, Any]:
    ended = {"exitCode": 137, "reason": "OOMKilled", "startedAt": STARTED}
    return {"phase": "Failed", "containerStatuses": [{"name": "base", "state": {"terminated": ended}}]}


def done() -> dict[str, Any]:
    ended = {"exitCode": 0, "reason": "Completed", "startedAt": STARTED, "message": "{}"}
    return {"phase": "Succeeded", "containerStatuses": [{"name": "base", "state": {"terminated": ended}}]}


def test_two_starts_of_the_same_try_share_one_pod() -> None:
    scene = Scene("import time; time.sleep(1)")

    async def story() -> Any:
        return await asyncio.gather(scene.launch().run(), scene.launch().run())

    assert play(scene, story) == [Succeeded(""), Succeeded("")]
    assert len(scene.pods.pods) == 1


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


def test_out_of_memory_gets_more_up_to_the_cap_and_then_fails_for_good() -> None:
    scene = Scene(None)
    limits: list[str] = []

    async def story() -> Any:
        running = asyncio.create_task(scene.launch(cap="700Mi").run())
        for count in (1, 2, 3):
            name = await scene.pod(count)
            limits.append(scene.pods.pods[name]["spec"]["containers"][0]["resources"]["limits"]["memory"])
            await scene.pods.settle(name, oom())
        return await running

    failure = play(scene, story)
    assert limits == ["256Mi", "512Mi", "700Mi"]
    assert (failure.kind, failure.then) == (Kind.OUT_OF_MEMORY, Then.STOP)
    assert "700Mi" in failure.message


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
        async with asyncio.timeout(5):
            while scene.pods.requests.count(f"create {scene.created()[0]}") < 3:
                await asyncio.sleep(0.01)
        await scene.pods.settle(scene.created()[0], done())
        return await again

    assert play(scene, story) == Succeeded("{}")


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
