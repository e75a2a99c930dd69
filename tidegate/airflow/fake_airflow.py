"""Airflow as a trigger sees it, in place of the process that answers a real one: for `tidegate.airflow.testing`."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


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
