"""One try of a step as Airflow's task runner and triggerer hold it, for tests against a Kubernetes API that answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred

from tidegate.airflow import operator, step

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from tidegate.airflow.identity import Identity
    from tidegate.airflow.operator import StepOperator

RUN_AFTER = datetime(2026, 11, 21, 11, 5, tzinfo=UTC)


@dataclass
class Task:
    """One try of a task, as Airflow's task runner holds it."""

    step: StepOperator
    try_number: int = 1
    run_id: str = "manual__1"
    logical_date: datetime | None = None
    ti_id: str = "0190-1"
    xcoms: dict[str, Any] = field(default_factory=dict)

    @property
    def context(self) -> Context:
        ti = SimpleNamespace(
            dag_id="petrol",
            run_id=self.run_id,
            task_id=self.step.task_id,
            map_index=-1,
            try_number=self.try_number,
            id=self.ti_id,
            start_date=RUN_AFTER,
            xcom_push=lambda key, value: self.xcoms.update({key: value}),
        )
        run = SimpleNamespace(logical_date=self.logical_date, run_after=RUN_AFTER)
        return {"ti": ti, "dag_run": run, "run_id": self.run_id, "params": {"trees": 7, "name": "Ada", "digits": "007"}}

    def go_on(self, method: str, *arguments: object) -> TaskDeferred | None:
        """Call a method of the operator; what it waits for, or None when the task is done."""
        try:
            getattr(self.step, method)(self.context, *arguments)
        except TaskDeferred as deferred:
            return deferred
        return None

    def defer(self) -> TaskDeferred:
        deferred = self.go_on("execute")
        assert deferred
        return deferred

    def run(self) -> dict[str, Any]:
        """The whole try: until its end, on the real trigger."""
        deferred = self.go_on("execute")
        while deferred:
            deferred = self.go_on(deferred.method_name, asyncio.run(first_event(deferred.trigger)))
        return self.xcoms


async def first_event(trigger: BaseTrigger) -> dict[str, Any]:
    async for event in trigger.run():
        payload: dict[str, Any] = event.payload
        return payload
    raise AssertionError("the trigger ended without an event")


def make(name: str = "train_model", **options: object) -> StepOperator:
    with DAG("petrol", schedule=None):
        made = step(name, **options)
    made.poll_interval = made.startup_check_interval_seconds = 0.01
    return made


def environment(pod: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in pod["spec"]["containers"][0]["env"]}


def identity(run_id: str) -> Identity:
    return operator.identity_of(Task(make(), run_id=run_id).context)
