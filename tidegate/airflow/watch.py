"""One watch on the pods of a namespace, shared by every step that is under way in this process.

Reads: one list, then one watch, resumed by resourceVersion; listed again when that is too old (410) or the stream is
broken in a way that may have lost an event. The ConfigMap of steps, once for those that begin together.
Writes: nothing.
Again: `shared` gives every caller on the same event loop the same watch; the last to leave closes it a little later.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import aiohttp

from tidegate.airflow.kube import Gone, Kube, KubeError
from tidegate.airflow.spec import CONFIG_MAP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tidegate.airflow.kube import Pod, Pods

log = logging.getLogger(__name__)

SELECTOR = "app.kubernetes.io/managed-by=tidegate"
FRESH_SECONDS = 1.0
"""Steps that begin within so long of each other read the ConfigMap once."""
LINGER = 600.0
"""Seconds the watch stays open after its last user: an idle one costs nothing, a new one its TLS and a list."""

_BROKEN = (KubeError, aiohttp.ClientError, TimeoutError, ConnectionError, ValueError)
_KEPT = ("name", "uid", "labels", "annotations", "resourceVersion", "creationTimestamp", "deletionTimestamp")


def trimmed(pod: Pod) -> Pod:
    """Keep what is needed to judge a pod: five hundred whole pods with their managed fields are megabytes."""
    metadata = pod["metadata"]
    return {
        "metadata": {key: metadata[key] for key in _KEPT if key in metadata},
        "spec": {"nodeName": pod.get("spec", {}).get("nodeName", "")},
        "status": pod.get("status", {}),
    }


class Follower:
    """The newest state of one pod. States in between may be skipped, the last one never is."""

    def __init__(self, name: str, uid: str) -> None:
        self.name, self.uid = name, uid
        self.pod: Pod | None = None
        self.gone = False
        self._news = asyncio.Event()

    def update(self, pod: Pod) -> None:
        """Take a newer state; one of another pod with the same name means that ours is gone."""
        if pod["metadata"]["uid"] != self.uid:
            self.remove()
            return
        self.pod = pod
        self._news.set()

    def remove(self) -> None:
        """Say that the pod does not exist any more."""
        self.gone = True
        self._news.set()

    async def changed(self, *, within: float | None = None) -> bool:
        """Wait for news, at most `within` seconds; return whether there were any."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._news.wait()
            self._news.clear()
            return True
        return False


class PodWatch:
    """The pods of one namespace as they are now. Start it with `run()` in a task of its own."""

    def __init__(self, pods: Pods) -> None:
        self.pods = pods
        self.current: dict[str, Pod] = {}
        self.synced = asyncio.Event()
        self._followers: dict[str, set[Follower]] = {}
        self._config: tuple[float, asyncio.Future[dict[str, str]]] | None = None

    async def config(self) -> dict[str, str]:
        """Data of the ConfigMap of steps, read at most `FRESH_SECONDS` ago. Raises: as `Pods.config`."""
        now = time.monotonic()
        if self._config is None or now - self._config[0] > FRESH_SECONDS:
            self._config = now, asyncio.ensure_future(self.pods.config(CONFIG_MAP))
        reading = self._config[1]
        try:
            return await asyncio.shield(reading)
        except Exception:
            self._config = None  # whoever comes next asks anew
            raise

    @asynccontextmanager
    async def follow(self, pod: Pod) -> AsyncIterator[Follower]:
        """Follow a pod that was just created or read; its state at hand is the first news."""
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        follower = Follower(name, uid)
        known = self.current.get(name)
        follower.update(known if known and known["metadata"]["uid"] == uid else trimmed(pod))
        self._followers.setdefault(name, set()).add(follower)
        try:
            yield follower
        finally:
            self._followers[name].discard(follower)
            if not self._followers[name]:
                del self._followers[name]

    async def run(self) -> None:
        """Keep `current` true until cancelled."""
        version, pause = "", 0.2
        while True:
            try:
                if not version:
                    version = await self._list()
                async for kind, item in self.pods.watch(SELECTOR, version):
                    pause = 0.2
                    version = item["metadata"]["resourceVersion"]
                    self._take(kind, item)
            except Gone:
                version = ""
            except _BROKEN as fault:
                log.warning("watch on %s broke (%s), again in %.1f s", self.pods.namespace, fault, pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 10.0)
                version = "" if isinstance(fault, KubeError) else version

    async def _list(self) -> str:
        """Take a whole list; a followed pod that was there before the list was asked for and is not in it is gone."""
        before = {follower for followers in self._followers.values() for follower in followers}
        pods, version = await self.pods.select(SELECTOR)
        self.current = {pod["metadata"]["name"]: trimmed(pod) for pod in pods}
        for name, pod in self.current.items():
            for follower in self._followers.get(name, ()):
                follower.update(pod)
        for follower in before:
            if follower.name not in self.current:
                follower.remove()
        self.synced.set()
        return version

    def _take(self, kind: str, item: dict[str, Any]) -> None:
        if kind == "BOOKMARK":
            return
        name, pod = item["metadata"]["name"], trimmed(item)
        followers = tuple(self._followers.get(name, ()))
        if kind == "DELETED":
            self.current.pop(name, None)
            for follower in followers:
                if follower.uid == pod["metadata"]["uid"]:
                    follower.pod = pod
                    follower.remove()
            return
        self.current[name] = pod
        for follower in followers:
            follower.update(pod)


class _Shared:
    """One watch with its client, its task and the number of its users."""

    def __init__(self, watch: PodWatch) -> None:
        self.watch, self.users = watch, 0
        self.task = asyncio.create_task(self._run(), name=f"tidegate-watch-{watch.pods.namespace}")
        self.closing: asyncio.TimerHandle | None = None

    async def _run(self) -> None:
        try:
            await self.watch.run()
        finally:
            await self.watch.pods.close()


_shared: dict[tuple[int, str, str | None], _Shared] = {}


connector: ContextVar[Callable[..., Awaitable[Pods]]] = ContextVar("connector", default=Kube.connect)
"""How a cluster is reached; `tidegate.airflow.testing` puts local processes in its place."""


@asynccontextmanager
async def shared(namespace: str, *, connection: str | None = None) -> AsyncIterator[PodWatch]:
    """Give the watch of this event loop and namespace, opened by the first caller.

    A cancelled loop (the triggerer stops) cancels the watch's own task, which closes the client.
    """
    loop = asyncio.get_running_loop()
    key = (id(loop), namespace, connection)
    entry = _shared.get(key)
    if entry is None or entry.task.done():
        pods = await connector.get()(namespace, connection=connection)
        entry = _shared.get(key)
        if entry is not None and not entry.task.done():
            await pods.close()
        else:
            entry = _shared[key] = _Shared(PodWatch(pods))
    entry.users += 1
    if entry.closing:
        entry.closing.cancel()
        entry.closing = None
    try:
        yield entry.watch
    finally:
        entry.users -= 1
        if not entry.users:
            entry.closing = loop.call_later(LINGER, _close, key)


def _close(key: tuple[int, str, str | None]) -> None:
    entry = _shared.get(key)
    if entry is not None and not entry.users:
        del _shared[key]
        entry.task.cancel()


async def close_shared() -> None:
    """Close every watch of this event loop now, as a test does before its loop ends."""
    own = [key for key in _shared if key[0] == id(asyncio.get_running_loop())]
    tasks = {_shared.pop(key).task for key in own}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
