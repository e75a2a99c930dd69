"""A cluster of processes with its watch, and what was said and logged: where the tests of launching play."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tidegate.airflow.identity import Identity
from tidegate.airflow.launch import Launch
from tidegate.airflow.local_pods import LocalPods
from tidegate.airflow.order import make_order
from tidegate.airflow.patience import Budgets
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
RUNNING = {"phase": "Running", "containerStatuses": [{"name": "base", "state": {"running": {"startedAt": STARTED}}}]}


class Scene:
    """A cluster, its watch, and what was said and logged."""

    def __init__(self, code: str | None = OK) -> None:
        self.pods = LocalPods(config=CONFIG, commands={"work": [sys.executable, "-u", "-c", code]} if code else {})
        self.watch = PodWatch(self.pods)
        self.said: list[str] = []
        self.lines: list[str] = []

    def launch(
        self,
        run: Identity = RUN,
        *,
        cap: str = "",
        params: dict[str, Any] | None = None,
        fence: int = 0,
        **budgets: Any,
    ) -> Launch:
        fields = {"params": params or {}, "inputs": {}, "output": None}
        order = make_order(CONFIG, run, step="work", namespace="tidegate-steps", **fields)
        return Launch(
            replace(order, fence=fence),
            watch=self.watch,
            budgets=Budgets(**budgets),
            memory_cap=cap,
            say=self.said.append,
            emit=lambda text, _stamp: self.lines.append(text),
        )

    async def pod(self, count: int = 1) -> str:
        """Wait for the newest of `count` pods that were ever created."""
        async with asyncio.timeout(60):
            while len(self.created()) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return self.created()[-1]

    def created(self) -> list[str]:
        return [request.split()[1] for request in self.pods.requests if request.startswith("create")]


def play(scene: Scene, story: Callable[[], Awaitable[Any]]) -> Any:
    """Run a story with the watch open."""

    async def run() -> Any:
        watching = asyncio.create_task(scene.watch.run())
        try:
            async with asyncio.timeout(120):
                return await story()
        finally:
            watching.cancel()
            await asyncio.wait({watching})
            await scene.pods.close()

    return asyncio.run(run())


def lost(reason: str = "OutOfcpu") -> dict[str, Any]:
    return {"phase": "Failed", "reason": reason, "message": "no room"}


def oom(reason: str = "OOMKilled") -> dict[str, Any]:
    ended = {"exitCode": 137, "reason": reason, "startedAt": STARTED}
    return {"phase": "Failed", "containerStatuses": [{"name": "base", "state": {"terminated": ended}}]}


def done() -> dict[str, Any]:
    ended = {"exitCode": 0, "reason": "Completed", "startedAt": STARTED, "message": "{}"}
    return {"phase": "Succeeded", "containerStatuses": [{"name": "base", "state": {"terminated": ended}}]}
