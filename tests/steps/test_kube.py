"""Our client and the shared watch on a real API server."""

# ruff: noqa: ASYNC110

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tests.steps.kubelet import NAMESPACE
from tidegate.airflow import credentials
from tidegate.airflow.credentials import Credentials
from tidegate.airflow.follow import PodLog
from tidegate.airflow.kube import Conflict, Gone, Kube
from tidegate.airflow.watch import PodWatch

if TYPE_CHECKING:
    from pathlib import Path

    from tests.steps.control_plane import ControlPlane


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


LABEL = {"app.kubernetes.io/managed-by": "tidegate"}


def pod(name: str, image: str = "local/quick:1") -> dict[str, Any]:
    container = {"name": "base", "image": image, "env": []}
    return {"metadata": {"name": name, "namespace": NAMESPACE, "labels": LABEL}, "spec": {"containers": [container]}}


def test_second_create_of_a_name_is_a_conflict(plane: ControlPlane) -> None:
    async def run() -> None:
        kube = await plane.connect()
        plane.kubelet.hold = True
        made = await kube.create(pod("twice"))
        with pytest.raises(Conflict):
            await kube.create(pod("twice"))
        assert not await kube.delete("twice", uid="another")
        assert await kube.delete("twice", uid=made["metadata"]["uid"])
        assert await kube.get("never") is None
        plane.kubelet.hold = False
        await kube.close()

    asyncio.run(run())


def waits_for(path: Path) -> str:
    """Python that goes on once a file is there."""
    return f"import os, time\nwhile not os.path.exists({str(path)!r}): time.sleep(0.05)\n"


def test_pod_is_followed_through_a_restart_of_the_api_server(plane: ControlPlane, tmp_path: Path) -> None:
    """The pod ends while the API server is away; the follower learns it afterwards, and of a deletion too."""
    plane.script("slow", waits_for(tmp_path / "over"))

    async def run() -> None:
        kube = await plane.connect()
        watch = PodWatch(kube)
        task = asyncio.create_task(watch.run())
        made = await kube.create(pod("survivor", "local/slow:1"))
        async with watch.follow(made) as follower, asyncio.timeout(90):
            while "containerStatuses" not in (follower.pod or {}).get("status", {}):
                await follower.changed()
            await asyncio.to_thread(plane.stop_api)
            (tmp_path / "over").touch()
            while "survivor" in plane.kubelet.alive():
                await asyncio.sleep(0.05)
            await asyncio.to_thread(plane.start_api)
            while follower.pod and follower.pod["status"]["phase"] != "Succeeded":
                await follower.changed()
            await kube.delete("survivor")
            while not follower.gone:
                await follower.changed()
        await stopped(task)
        await kube.close()

    asyncio.run(run())


def test_version_from_before_is_gone_and_the_watch_lists_again(plane: ControlPlane) -> None:
    """An API server that restarted does not know old versions; the watch notices and misses nothing."""
    plane.kubelet.hold = True
    plane.request("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", pod("missed"))
    plane.stop_api()
    plane.start_api()

    class Stale(Kube):
        asked: ClassVar[list[str]] = []

        def watch(self, selector: str, version: str) -> Any:
            self.asked.append(version)
            return super().watch(selector, "1" if len(self.asked) == 1 else version)

    async def run() -> None:
        kube = await plane.connect()
        stale = Stale(kube._api, namespace=NAMESPACE)
        async with asyncio.timeout(90):
            with pytest.raises(Gone):
                async for _ in kube.watch("app.kubernetes.io/managed-by=tidegate", "1"):
                    pass
            watch = PodWatch(stale)
            task = asyncio.create_task(watch.run())
            while len(Stale.asked) < 2:
                await asyncio.sleep(0.05)
            assert "missed" in watch.current
        await stopped(task)
        await kube.close()

    asyncio.run(run())
    plane.kubelet.hold = False


def test_log_streams_live_and_resumes(plane: ControlPlane, tmp_path: Path) -> None:
    plane.script(
        "talk", f"print('line 0')\n{waits_for(tmp_path / 'seen')}print('line 1')\ntime.sleep(1)\nprint('line 2')"
    )

    async def run() -> None:
        kube = await plane.connect()
        watch = PodWatch(kube)
        task = asyncio.create_task(watch.run())
        seen: list[str] = []
        made = await kube.create(pod("talker", "local/talk:1"))
        log = PodLog(kube, "talker", emit=lambda text, _stamp: seen.append(text))
        async with watch.follow(made) as follower, asyncio.timeout(60):
            while "containerStatuses" not in (follower.pod or {}).get("status", {}):
                await follower.changed()
            log.start()
            while seen != ["line 0"]:  # it says no more before this is seen
                await asyncio.sleep(0.05)
            (tmp_path / "seen").touch()
            while follower.pod and follower.pod["status"]["phase"] != "Succeeded":
                await follower.changed()
            assert await log.finish() == ""
        assert seen == ["line 0", "line 1", "line 2"]
        await stopped(task)
        await kube.close()

    asyncio.run(run())


GATED = "told-0123456789abcdef"


def test_a_pod_starts_once_its_secret_is_there(plane: ControlPlane) -> None:
    """By Kubernetes' own rules: the gate holds the pod back, the Secret is the pod's, and the gate can be taken."""
    plane.script("told", "import os; print('length', len(os.environ['CONNECTION_PASSWORD']))")
    given = Credentials(connection="db", secret={"CONNECTION_PASSWORD": "correct-horse"})

    async def run() -> None:
        kube = await plane.connect()
        watch = PodWatch(kube)
        task = asyncio.create_task(watch.run())
        wanted = pod(GATED, "local/told:1")
        wanted["metadata"]["annotations"] = {}
        credentials.dress(wanted, given)
        made = await kube.create(wanted)
        async with watch.follow(made) as follower, asyncio.timeout(60):
            await credentials.furnish(kube, made, given)
            while follower.pod is None or follower.pod["status"].get("phase") != "Succeeded":
                await follower.changed()
        name = credentials.left_behind(made)
        secret = plane.request("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}")
        (owner,) = secret["metadata"]["ownerReferences"]
        assert owner["uid"] == made["metadata"]["uid"]
        await credentials.take_back(kube, made)
        assert not await kube.delete_secret(name)
        assert credentials.left_behind((await kube.get(GATED)) or {}) == ""
        await stopped(task)
        await kube.close()

    asyncio.run(run())
