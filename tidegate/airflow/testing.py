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
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from airflow.executors.workloads.task import TaskInstanceDTO
from airflow.jobs.triggerer_job_runner import TriggerRunner
from airflow.sdk.api.datamodels._generated import VariableResponse
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    DeleteXCom,
    ErrorResponse,
    GetConnection,
    GetTaskStates,
    GetTICount,
    GetVariable,
    GetXCom,
    OKResponse,
    SetXCom,
    TaskStatesResult,
    TICount,
    VariableResult,
    XComResult,
)
from airflow.serialization.decoders import smart_decode_trigger_kwargs
from airflow.serialization.serialized_objects import DagSerialization
from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent, TriggerEvent

from tidegate.airflow.clerk import close_clerks
from tidegate.airflow.local_pods import LocalPods
from tidegate.airflow.spec import PLATFORM_KEY
from tidegate.airflow.trigger import StepTrigger
from tidegate.airflow.watch import close_shared, connector

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from tidegate.airflow.kube import Pods

SECONDS = 300.0
"""A step under test that takes longer has failed."""

CLOSING_SECONDS = 0.25
"""TLS connections close this much later, https://docs.aiohttp.org/en/stable/client_advanced.html#graceful-shutdown"""


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
        logical_date: Of the run; None is a run without.
        map_index: Which instance of a mapped task.
        try_number: From 1.
    """
    local = LocalPods(config=config or _config(commands or {}, store_root), commands=commands)
    comms = FakeAirflow(xcoms or {})
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
    return _run_of(event, comms, [str(entry["event"]) % entry.get("positional_args", ()) for entry in entries])


def make_trigger(
    task: Any,  # noqa: ANN401 - a StepOperator or a mapped one
    *,
    comms: FakeAirflow,
    conf: Mapping[str, Any] | None = None,
    logical_date: datetime | None = datetime(2026, 1, 1, tzinfo=UTC),
    run_id: str = "test",
    map_index: int = -1,
    try_number: int = 1,
    ti_id: uuid.UUID | None = None,
) -> StepTrigger:
    """Make the trigger as Airflow's triggerer does: from the serialized DAG, with a template context."""
    encoded = DagSerialization.to_dict(task.dag)
    ti = TaskInstanceDTO.model_construct(
        id=ti_id or uuid.uuid4(),
        dag_id=task.dag_id,
        run_id=run_id,
        task_id=task.task_id,
        map_index=map_index,
        try_number=try_number,
        start_date=datetime.now(tz=UTC),
    )
    run = _dag_run(task.dag_id, run_id, conf=conf, logical_date=logical_date)
    with comms.installed():
        runtime = TriggerRunner.create_runtime_ti(ti, encoded, run)
        context = runtime.get_template_context()
    args: Any = runtime.task.start_trigger_args
    if args is None:
        raise ValueError(f"{task.task_id} starts on a worker ({task.path_reason}); run it as any other operator")
    trigger = StepTrigger(**smart_decode_trigger_kwargs(args.trigger_kwargs))  # type: ignore[no-untyped-call]
    trigger.task_instance = runtime  # type: ignore[assignment]
    trigger.render_template_fields(context)
    return trigger


@dataclass
class FakeAirflow:
    """Answers what a triggerer's parent process answers, and hangs on the rest as it does.

    Args:
        xcoms: What other tasks left.
        state: What the task's state is when somebody asks.
    """

    xcoms: Mapping[str, Mapping[str, Any]]
    state: str = "failed"
    written: dict[str, Any] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    async def asend(self, message: Any) -> Any:  # noqa: ANN401 - Airflow's messages
        """Answer as the supervisor does."""
        answer = self.send(message)
        if answer is None:
            await asyncio.Event().wait()
        return answer

    def send(self, message: Any) -> Any:  # noqa: ANN401, PLR0911 - Airflow's messages
        """Answer at once; None is what hangs for ever in a real triggerer."""
        if isinstance(message, (SetXCom, DeleteXCom)):
            return self._write(message)
        if isinstance(message, GetConnection):
            return ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND)
        if isinstance(message, GetXCom):
            return XComResult(key=message.key, value=self._xcom(message))
        if isinstance(message, GetTICount):
            return TICount(
                count=max((len(v) for v in self.xcoms.get((message.task_ids or [""])[0], {}).values()), default=0)
            )
        if isinstance(message, GetTaskStates):
            task_id = (message.task_ids or [""])[0]
            return TaskStatesResult(task_states={(message.run_ids or [""])[0]: {task_id: self.state}})
        if isinstance(message, GetVariable):
            return VariableResult.from_variable_response(
                VariableResponse(key=message.key, value=self.variables.get(message.key))
            )
        return None

    def _write(self, message: SetXCom | DeleteXCom) -> OKResponse:
        if isinstance(message, DeleteXCom):
            self.written.pop(message.key, None)
            return OKResponse(ok=True)
        self.written[message.key] = message.value
        if message.mapped_length is not None:
            self.lengths[message.key] = message.mapped_length
        return OKResponse(ok=True)

    def _xcom(self, message: GetXCom) -> Any:  # noqa: ANN401 - any JSON
        value = self.xcoms.get(message.task_id, {}).get(message.key)
        return (
            value if message.map_index is None or message.map_index < 0 or value is None else value[message.map_index]
        )

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Stand in for Airflow's supervisor."""
        before = getattr(task_runner, "SUPERVISOR_COMMS", None)
        task_runner.SUPERVISOR_COMMS = self  # type: ignore[assignment]
        try:
            yield
        finally:
            task_runner.SUPERVISOR_COMMS = before  # type: ignore[assignment]


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
    remote = False

    async def connected(namespace: str, *, connection: str | None) -> Pods:  # noqa: ARG001
        nonlocal remote
        found = await connect()
        remote = not isinstance(found, LocalPods)
        return found

    connector.set(connected)
    disturbing = asyncio.create_task(asyncio.to_thread(meanwhile)) if meanwhile else None
    with comms.installed():
        async with asyncio.timeout(SECONDS):
            events = [event async for event in trigger.run()]
            if disturbing:
                await disturbing
    await close_clerks()
    await close_shared()
    if remote:
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


def _config(commands: Mapping[str, Sequence[str]], store_root: str) -> dict[str, str]:
    entry = json.dumps({"image": "local/process", "resources": {"limits": {"memory": "512Mi"}}})
    return {PLATFORM_KEY: json.dumps({"store_root": store_root}), **dict.fromkeys(commands, entry)}


def _dag_run(
    dag_id: str, run_id: str, *, conf: Mapping[str, Any] | None, logical_date: datetime | None
) -> dict[str, Any]:
    now = datetime.now(tz=UTC)
    return {
        "dag_id": dag_id,
        "run_id": run_id,
        "logical_date": logical_date,
        "data_interval_start": logical_date,
        "data_interval_end": logical_date,
        "run_after": logical_date or now,
        "start_date": now,
        "end_date": None,
        "run_type": "manual",
        "state": "running",
        "conf": dict(conf or {}),
        "consumed_asset_events": [],
        "partition_key": None,
    }
