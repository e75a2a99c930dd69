"""What pods do, as it happens: the first time, by this machine's clock, that each came to a stage of its life.

Reads: one watch on the pods of a namespace, through kubectl, from `with` to the end of the block. Writes: nothing.
Again: a watch that is cut is opened again after a new list; times that are known are kept.

Kubernetes' own times in a pod's status are whole seconds; these are as exact as the watch is quick (milliseconds).
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tidegate.cli.fault import Fault
from tidegate.cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tidegate.cli.kubectl import Kubectl

STAGES = ("made", "scheduled", "running", "ended", "gone")
"""In the order of a pod's life. A short one may go from `scheduled` to `ended` without being seen `running`."""
AGAIN_SECONDS = 0.2
"""Before a new list, when a watch has ended."""


@dataclass
class Life:
    """One pod: its newest state, and when it was first seen in each stage."""

    pod: dict[str, Any]
    times: dict[str, datetime] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    @property
    def phase(self) -> str:
        return str(self.pod["status"].get("phase", "Unknown"))

    @property
    def succeeded(self) -> bool:
        """Whether every container ended with code 0; the pod's phase says so a moment later."""
        codes = [one["exitCode"] for one in self.ended]
        return bool(codes) and codes == [0] * len(self.pod["status"]["containerStatuses"])

    @property
    def ended(self) -> list[dict[str, Any]]:
        """What Kubernetes tells of the containers that have ended: `exitCode`, `reason`, `message` and more."""
        states = [one.get("state", {}) for one in self.pod["status"].get("containerStatuses", [])]
        return [state["terminated"] for state in states if state.get("terminated")]

    def note(self, kind: str) -> str:
        """A label or annotation of ours, such as `task-id`."""
        metadata = self.pod["metadata"]
        known = {**metadata.get("labels", {}), **metadata.get("annotations", {})}
        return str(known.get(f"tidegate.dev/{kind}", ""))


def stages(pod: dict[str, Any], *, kind: str = "MODIFIED") -> set[str]:
    """The stages that a pod's state, or the kind of a watch's event, tell it has reached."""
    status = pod.get("status", {})
    states = [one.get("state", {}) for one in status.get("containerStatuses", [])]
    bound = any(one["type"] == "PodScheduled" and one["status"] == "True" for one in status.get("conditions", []))
    ended = status.get("phase") in ("Succeeded", "Failed") or (
        bool(states) and all("terminated" in one for one in states)
    )
    told = {"made": True, "scheduled": bound, "running": any("running" in one for one in states), "ended": ended}
    return {stage for stage, reached in {**told, "gone": kind == "DELETED"}.items() if reached}


class Timeline:
    """The lives of the pods that `selector` finds, while the block runs."""

    def __init__(self, kubectl: Kubectl, namespace: str, selector: str) -> None:
        self._kubectl, self._path, self._selector = kubectl, f"/api/v1/namespaces/{namespace}/pods", selector
        self._lives: dict[str, Life] = {}
        self._news = threading.Condition()
        self._over = threading.Event()
        self._watch: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True, name=f"timeline {selector}")
        self._synced = threading.Event()

    def __enter__(self) -> Timeline:
        self._thread.start()
        if not self._synced.wait(60):
            raise Fault(f"no watch on {self._path} within 60 s")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        if self._watch:
            self._watch.terminate()
        self._thread.join(30)

    def lives(self, *, but: Callable[[Life], bool] = lambda _: False) -> list[Life]:
        """Every pod seen so far, in the order they were made."""
        with self._news:
            return [one for one in self._lives.values() if not but(one)]

    def until(self, done: Callable[[list[Life]], bool], *, seconds: float, what: str) -> None:
        """Return as soon as the pods are as wanted; raises `Fault` with their phases after the deadline."""
        deadline = time.monotonic() + seconds
        with self._news:
            while not done(list(self._lives.values())):
                left = deadline - time.monotonic()
                if left <= 0:
                    phases = {one.name: one.phase for one in self._lives.values()}
                    raise Fault(f"waited {seconds:.0f} s for {what}; now: {phases}")
                self._news.wait(left)

    def take(self, kind: str, pod: dict[str, Any]) -> None:
        """Note one event of the watch."""
        now = datetime.now(UTC)
        with self._news:
            life = self._lives.setdefault(pod["metadata"]["uid"], Life(pod))
            life.pod = pod
            for stage in stages(pod, kind=kind):
                life.times.setdefault(stage, now)
            self._news.notify_all()

    def _follow(self) -> None:
        while not self._over.is_set():
            # the API server is away, or the watch was cut within a line
            with suppress(ClusterError, ValueError, OSError):
                self._read(self._list())
            self._over.wait(AGAIN_SECONDS)

    def _list(self) -> str:
        """Take all pods there are; one that is known and not there is gone. The list's version."""
        query = urlencode({"labelSelector": self._selector})
        found = json.loads(self._kubectl.text("get", "--raw", f"{self._path}?{query}"))
        there = {pod["metadata"]["uid"] for pod in found["items"]}
        for life in [one for uid, one in self._lives.items() if uid not in there and "gone" not in one.times]:
            self.take("DELETED", life.pod)
        for pod in found["items"]:
            self.take("ADDED", pod)
        return str(found["metadata"]["resourceVersion"])

    def _read(self, version: str) -> None:
        query = urlencode({"labelSelector": self._selector, "watch": "1", "resourceVersion": version})
        command = self._kubectl.command("get", "--raw", f"{self._path}?{query}")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as self._watch:
            self._synced.set()
            assert self._watch.stdout
            for line in self._watch.stdout:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    break
                self.take(event["type"], event["object"])
            self._watch.terminate()
