"""A trigger outside of a triggerer: made from the serialized DAG as Airflow makes it, and what Airflow would answer it.

For `tidegate.airflow.testing` and `tidegate.airflow.plan`, which so see templates, references and parameters as a run
does.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.executors.workloads.task import TaskInstanceDTO
from airflow.jobs.triggerer_job_runner import TriggerRunner
from airflow.sdk.api.datamodels._generated import VariableResponse
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    ConnectionResult,
    DeleteXCom,
    ErrorResponse,
    GetConnection,
    GetTaskStates,
    GetTICount,
    GetVariable,
    GetXCom,
    MaskSecret,
    OKResponse,
    SetXCom,
    TaskStatesResult,
    TICount,
    VariableResult,
    XComResult,
)
from airflow.serialization.decoders import smart_decode_trigger_kwargs
from airflow.serialization.serialized_objects import DagSerialization

from tidegate.airflow.step_operator import TRIGGER
from tidegate.airflow.trigger import StepTrigger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


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
    ids = {"dag_id": task.dag_id, "task_id": task.task_id, "run_id": run_id}
    encoded = DagSerialization.to_dict(task.dag)
    found = trigger_of(
        encoded,
        **ids,
        comms=comms,
        conf=conf,
        logical_date=logical_date,
        map_index=map_index,
        try_number=try_number,
        ti_id=ti_id,
    )
    if found is None:
        raise ValueError(f"{task.task_id} starts on a worker ({task.path_reason}); run it as any other operator")
    return found


def trigger_of(
    encoded: dict[str, Any],
    *,
    dag_id: str,
    task_id: str,
    run_id: str,
    comms: FakeAirflow,
    conf: Mapping[str, Any] | None = None,
    logical_date: datetime | None = None,
    map_index: int = -1,
    try_number: int = 1,
    ti_id: uuid.UUID | None = None,
) -> StepTrigger | None:
    """The same from a DAG that is serialized already; None for a task that does not start in the triggerer."""
    ti = TaskInstanceDTO.model_construct(
        id=ti_id or uuid.uuid4(),
        dag_id=dag_id,
        run_id=run_id,
        task_id=task_id,
        map_index=map_index,
        try_number=try_number,
        start_date=datetime.now(tz=UTC),
    )
    run = _dag_run(dag_id, run_id, conf=conf, logical_date=logical_date)
    with comms.installed():
        runtime = TriggerRunner.create_runtime_ti(ti, encoded, run)
        context = runtime.get_template_context()
    args: Any = runtime.task.start_trigger_args
    if args is None or args.trigger_cls != TRIGGER:
        return None
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
        connections: By id, fields of the connections that there are: conn_type, login, password, extra (text) …
    """

    xcoms: Mapping[str, Mapping[str, Any]]
    state: str = "failed"
    written: dict[str, Any] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    connections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

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
            return self._connection(message.conn_id)
        if isinstance(message, MaskSecret):
            return OKResponse(ok=True)
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

    def _connection(self, conn_id: str) -> ConnectionResult | ErrorResponse:
        if conn_id not in self.connections:
            return ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND)
        fields = dict.fromkeys(("host", "schema", "login", "password", "port", "extra")) | {"conn_id": conn_id}
        return ConnectionResult.model_validate(fields | dict(self.connections[conn_id]))

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
