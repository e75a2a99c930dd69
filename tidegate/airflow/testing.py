"""Run one task of a DAG through the real trigger, against processes of this machine or a cluster.

Airflow's own `dag.test()` and `tasks test` cannot: they start a task as on a worker, give its trigger no task
instance, and hang without a triggerer (apache-airflow 3.3.2). In a test of yours:

    from tidegate.airflow.testing import run_step
    run = run_step(dag.get_task("train_model"), commands={"train_model": [sys.executable, "-m", "jobs", "train_model"]},
                   store_root="file:///tmp/store", conf={"n_estimators": 10})
    assert run.state == "success" and run.values["return_value"]["metrics"]["r2"] > 0.8

Templates, references to other tasks (`xcoms={"split": {"return_value": [1, 2]}}`), mapped arguments (`map_index=1`)
and failures are those of production. With `connect=lambda: Kube.connect(namespace)` the step runs in a cluster.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent, TriggerEvent

from tidegate.airflow.clerk import close_clerks
from tidegate.airflow.local_pods import LocalPods
from tidegate.airflow.spec import PLATFORM_KEY
from tidegate.airflow.stand_in import FakeAirflow, make_trigger
from tidegate.airflow.watch import close_shared, connector

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from tidegate.airflow.kube import Pods
    from tidegate.airflow.trigger import StepTrigger

SECONDS = 300.0
"""A step under test that takes longer has failed."""

CLOSING_SECONDS = 0.25
"""TLS connections close this much later, https://docs.aiohttp.org/en/stable/client_advanced.html#graceful-shutdown"""


__all__ = ["FakeAirflow", "StepRun", "make_trigger", "run_step"]


@dataclass(frozen=True, kw_only=True)
class StepRun:
    """What became of a task."""

    state: str
    """success, failed (retried if the task has retries) or failed_for_good."""
    path: str
    """triggerer or worker: who ended the task."""
    values: Mapping[str, Any]
    """XComs by key."""
    lengths: Mapping[str, int]
    """By key, over how many tasks a value can be mapped."""
    log: Sequence[str]
    """Lines of the task log."""


def run_step(
    task: Any,  # noqa: ANN401 - a StepOperator or a mapped one
    *,
    commands: Mapping[str, Sequence[str]] | None = None,
    store_root: str = "file:///tmp/tidegate",
    config: Mapping[str, str] | None = None,
    connect: Callable[[], Awaitable[Pods]] | None = None,
    meanwhile: Callable[[], None] | None = None,
    run_id: str = "test",
    conf: Mapping[str, Any] | None = None,
    xcoms: Mapping[str, Mapping[str, Any]] | None = None,
    connections: Mapping[str, Mapping[str, Any]] | None = None,
    logical_date: datetime | None = datetime(2026, 1, 1, tzinfo=UTC),
    map_index: int = -1,
    try_number: int = 1,
) -> StepRun:
    """Run a task of a DAG once.

    Args:
        task: The task, `dag.get_task("…")`.
        commands: Command that stands for each step's image.
        store_root: Where relative paths lie.
        config: Data of the ConfigMap of steps; made from `commands` and `store_root` otherwise.
        connect: Opens another place to run, such as `lambda: Kube.connect("tidegate-steps")` for a cluster.
        meanwhile: Called in a thread while the step runs, to disturb it.
        run_id: Of the run; a cluster keeps the pods of earlier ones.
        conf: The run's conf, which fills the DAG's params.
        xcoms: What other tasks left: task id to key to value (a list of them for a mapped task).
        connections: Airflow's connections by id, fields by name (`conn_type`, `login`, `password`, `extra` as text).
        logical_date: Of the run; None is a run without.
        map_index: Which instance of a mapped task.
        try_number: From 1.
    """
    local = LocalPods(config=config or _config(commands or {}, store_root), commands=commands)
    comms = FakeAirflow(xcoms or {}, connections=connections or {})
    trigger = make_trigger(
        task,
        conf=conf,
        logical_date=logical_date,
        run_id=run_id,
        map_index=map_index,
        try_number=try_number,
        comms=comms,
    )
    with structlog.testing.capture_logs() as entries:
        event = asyncio.run(_first_event(trigger, connect or _opens(local), comms, meanwhile))
    return _run_of(event, comms, [_line(entry) for entry in entries])


def _opens(pods: Pods) -> Callable[[], Awaitable[Pods]]:
    async def connect() -> Pods:
        return pods

    return connect


async def _first_event(
    trigger: StepTrigger,
    connect: Callable[[], Awaitable[Pods]],
    comms: FakeAirflow,
    meanwhile: Callable[[], None] | None,
) -> TriggerEvent:
    opened: list[Pods] = []

    async def connected(namespace: str, *, connection: str | None) -> Pods:  # noqa: ARG001
        opened.append(await connect())
        return opened[-1]

    connector.set(connected)
    disturbing = asyncio.create_task(asyncio.to_thread(meanwhile)) if meanwhile else None
    with comms.installed():
        async with asyncio.timeout(SECONDS):
            events = [event async for event in trigger.run()]
            if disturbing:
                await disturbing
    await close_clerks()
    await close_shared()
    if not all(isinstance(pods, LocalPods) for pods in opened):
        await asyncio.sleep(CLOSING_SECONDS)
    return events[0]


def _run_of(event: TriggerEvent, comms: FakeAirflow, log: Sequence[str]) -> StepRun:
    if isinstance(event, TaskSuccessEvent):
        return StepRun(state="success", path="triggerer", values=comms.written, lengths=comms.lengths, log=log)
    if isinstance(event, TaskFailedEvent):
        return StepRun(state="failed", path="triggerer", values=comms.written, lengths={}, log=log)
    success = event.payload["status"] == "success"
    state = "success" if success else "failed_for_good"
    return StepRun(
        state=state, path="worker", values=comms.written | event.payload.get("values", {}), lengths={}, log=log
    )


def _line(entry: Mapping[str, Any]) -> str:
    """A line of the task log; one without arguments may hold a percent sign of its own."""
    args = entry.get("positional_args", ())
    return str(entry["event"]) % args if args else str(entry["event"])


def _config(commands: Mapping[str, Sequence[str]], store_root: str) -> dict[str, str]:
    entry = json.dumps({"image": "local/process", "resources": {"limits": {"memory": "512Mi"}}})
    return {PLATFORM_KEY: json.dumps({"store_root": store_root}), **dict.fromkeys(commands, entry)}
