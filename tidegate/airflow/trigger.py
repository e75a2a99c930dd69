"""A step's life in the triggerer: from its templates to its values, without a worker.

Reads: the ConfigMap of steps, upstream XComs, one Airflow connection where its pod is given one, pods and their logs.
Writes: pods and what belongs to them, XComs of its own task instance, the task log. Again: Airflow may start it several
times for the same try, even twice at once (a triggerer that froze): it finds its pod by name. It is cancelled without
harm: only `on_kill`, after asking for the task's state, ends a pod.

    run() ---- success ------------------> XComs, TaskSuccessEvent               no worker
          ---- failure, may be retried --> TaskFailedEvent                       no worker
          ---- failure for good ---------> TriggerEvent -> AirflowFailException  a worker, only if retries are set
          ---- finish on a worker -------> TriggerEvent -> values, outlets, callbacks
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from airflow.triggers.base import BaseTrigger, TaskFailedEvent, TaskSuccessEvent, TriggerEvent

from tidegate.airflow import credentials, metrics, results
from tidegate.airflow.early import Early
from tidegate.airflow.failures import Failure, Kind, Then
from tidegate.airflow.follow import micros
from tidegate.airflow.identity import UNMAPPED, Identity, date_of
from tidegate.airflow.kill import end_pods, in_background
from tidegate.airflow.links import log_url
from tidegate.airflow.order import lines, make_order
from tidegate.airflow.patience import Budgets
from tidegate.airflow.references import ReferenceError_, Resolver
from tidegate.airflow.request import Asked, forced, make_request, run_params
from tidegate.airflow.spec import SpecError
from tidegate.airflow.templates import TemplateError, render
from tidegate.airflow.watch import PodWatch, shared
from tidegate.airflow.work import Work

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import jinja2
    from airflow.sdk import Context

    from tidegate.airflow.attempts import Order
    from tidegate.airflow.kube import Pods
    from tidegate.airflow.recorded import Result
    from tidegate.ledger import Probe, Request

RENDER_SECONDS = 120.0
"""A template or an upstream value that Airflow does not answer within this is given up: it would hang for ever."""

_KEPT = (
    "step", "step_params", "inputs", "output_url", "namespace", "worker", "budgets", "queue", "retries", "connection",
    "mapped", "rendered", "logical_date", "force", "credentials",
)  # fmt: skip

_NOT_CONFIGURED = (SpecError, TemplateError, ReferenceError_)


class StepTrigger(BaseTrigger):
    """Run one try of a step.

    Args:
        step: Name of the step.
        step_params, inputs, output_url: As in the DAG, templates and references unresolved (`rendered` says else).
        namespace: Where steps run.
        worker: Whether a worker finishes the task (outlets, success callback).
        budgets: Seconds, see `Budgets`.
        queue: Seconds to wait for admission, and for the same work elsewhere.
        retries: The task's retries: without any, a failure for good needs no worker.
        connection: An Airflow connection to the cluster, or None for the cluster Airflow runs in.
        mapped: Mapped arguments in the order of the DAG file.
        rendered: Whether a worker has rendered the fields already.
        logical_date: Of the run, where a worker started the step; the triggerer knows it otherwise.
        force: Whether it runs whatever the ledger has recorded.
        credentials: An Airflow connection whose content its pod is given, or None.
    """

    def __init__(
        self,
        *,
        step: str,
        step_params: Any,  # noqa: ANN401 - any JSON
        inputs: Any,  # noqa: ANN401
        output_url: Any,  # noqa: ANN401
        namespace: str,
        worker: bool = False,
        budgets: dict[str, float | None] | None = None,
        queue: float = 86400.0,
        retries: int = 0,
        connection: str | None = None,
        mapped: list[str] | None = None,
        rendered: bool = False,
        logical_date: str = "",
        force: bool = False,
        credentials: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.step, self.step_params, self.inputs, self.output_url = step, step_params, inputs, output_url
        self.namespace, self.worker, self.budgets, self.queue = namespace, worker, budgets or {}, queue
        self.retries, self.connection, self.mapped = retries, connection, mapped or []
        self.rendered, self.logical_date, self.force = rendered, logical_date, force
        self.credentials = credentials
        self._asked, self._work = Asked(force=force), None  # type: tuple[Asked, Work | None]
        self._early: Early | None = None
        self._context: Context | None = None
        self._run: Identity | None = None
        self._say: Any = structlog.get_logger("tidegate.step")
        self._pod_log: Any = structlog.get_logger("pod")

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return everything needed to make it again; keys may be added, never taken away."""
        return f"{StepTrigger.__module__}.{StepTrigger.__qualname__}", {name: getattr(self, name) for name in _KEPT}

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:  # noqa: ARG002
        """Only keep the context: rendering here could hang or fail outside of `run`, which catches everything."""
        self._context = context

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """See the module's picture. Yields one event, whatever happens."""
        began = time.monotonic()
        try:
            outcome = await self._outcome()
            event = await self._event(outcome)
            metrics.over(
                self._run, self._work, outcome, step=self.step, seconds=time.monotonic() - began, say=self._say
            )
        except asyncio.CancelledError:
            self._end_if_timed_out()
            raise
        except Exception:
            self._say.exception("the step could not be followed to its end")
            event = TaskFailedEvent()
        yield event

    async def on_kill(self) -> None:
        """End the pod after a person marked, cleared or stopped the task. Airflow allows about one second."""
        if self._run is not None:
            await asyncio.shield(in_background(self._end_pods()))

    async def _outcome(self) -> Result | Failure:
        try:
            run = self._run = self._identity()
            fields = await self._fields(run)
            async with shared(self.namespace, connection=self.connection) as watch:
                return await self._on(watch, run, fields)
        except _NOT_CONFIGURED as fault:
            return Failure(kind=Kind.NOT_CONFIGURED, message=str(fault), then=Then.STOP, started=False)
        except Exception as fault:
            self._say.exception("the platform failed, not the step")
            message = f"{type(fault).__name__}: {fault}"
            return Failure(kind=Kind.PLATFORM, message=message, then=Then.RETRY, started=False)

    async def _on(self, watch: PodWatch, run: Identity, fields: dict[str, Any]) -> Result | Failure:
        config = await watch.config()
        given = await credentials.read(self.credentials) if self.credentials else None
        order = make_order(config, run, step=self.step, namespace=self.namespace, credentials=given, **fields)
        self._show(order)
        self._early = Early(run, say=self._say.info)
        asked = replace(self._asked, named_output=bool(fields["output"]))
        self._work = Work(order, asked, watch=watch, config=config, say=self._say.info, emit=self._emit)
        return await self._work.result(budgets=self._budgets(), queue=self.queue)

    async def question(self, config: Mapping[str, str], *, probe: Probe, pods: Pods) -> Request:
        """What `run` would ask the ledger, given the ConfigMap's data: for `tidegate plan`."""
        run = self._identity()
        fields = await self._fields(run)
        order = make_order(config, run, step=self.step, namespace=self.namespace, **fields)
        asked = replace(self._asked, named_output=bool(fields["output"]))
        return await make_request(order, asked, probe=probe, pods=pods)

    async def _event(self, outcome: Result | Failure) -> TriggerEvent:
        if self._early is not None:
            await self._early.done()
        if not isinstance(outcome, Failure):
            return await self._succeeded(results.values(outcome), outcome)
        for line in outcome.text(step=self.step).splitlines():
            self._say.error(line)
        with suppress(Exception):
            await results.leave_failure(outcome, self._run or self._identity(), step=self.step)
        if outcome.then is Then.STOP and self.retries:
            self._say.info("not retried: handing over to a worker, which alone can end a task for good")
            return _event({"status": "failed", "kind": outcome.kind.value, "message": outcome.message})
        return TaskFailedEvent()

    async def _succeeded(self, found: dict[str, Any], result: dict[str, Any]) -> TriggerEvent:
        self._say.info("%s: %s", self.step, result.get("summary") or "done")
        for name, value in sorted(result.get("metrics", {}).items()):
            self._say.info("metric %s = %s", name, value)
        for name, value in found.items():
            if name != results.RETURN_VALUE:
                self._say.info("output %s: %s", name, value)
        if self.worker:
            return _event({"status": "success", "values": found})
        assert self._run is not None  # noqa: S101 - it succeeded, so it ran
        await results.hand_back(found, self._run)
        return TaskSuccessEvent()

    def _identity(self) -> Identity:
        """Return whose try this is, from the triggerer's own task instance."""
        ti: Any = self.task_instance
        return Identity(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            map_index=UNMAPPED if ti.map_index is None else ti.map_index,
            try_number=ti.try_number,
            logical_date=self.logical_date or date_of((self._context or {}).get("dag_run")),
            ti_id=str(ti.id),
        )

    async def _fields(self, run: Identity) -> dict[str, Any]:
        """Render templates, follow references, and pick this instance's mapped arguments."""
        fields = {"params": self.step_params, "inputs": self.inputs, "output": self.output_url}
        self._ask(run)
        if self.rendered:
            return fields
        try:
            async with asyncio.timeout(RENDER_SECONDS):
                resolver = Resolver(self.task, dag_id=run.dag_id, run_id=run.run_id, map_index=run.map_index)
                own = await resolver.own(self.mapped)
                fields |= {_FIELDS[key]: value for key, value in own.items() if key in _FIELDS}
                fields = await resolver.resolve(fields)
                self._asked = replace(self._asked, known=await resolver.known())
                rendered: dict[str, Any] = render(fields, dict(self._context or {}))
        except TimeoutError:
            message = f"a template or an upstream value was not answered within {RENDER_SECONDS:.0f} s: {fields!r}"
            raise TemplateError(message) from None
        self._forget()
        return rendered

    def _ask(self, run: Identity) -> None:
        """Keep what the ledger wants to know of the run, before its context is let go."""
        context: dict[str, Any] = dict(self._context or {})
        conf = getattr(context.get("dag_run"), "conf", None)
        force = self.force or forced(conf, task_id=run.task_id, step=self.step)
        self._asked = Asked(
            run_params=run_params(context), force=force, credentials=self.credentials or "", log_url=log_url(run)
        )

    def _forget(self) -> None:
        """Let go of the DAG that Airflow unpacked for this trigger alone: five hundred of them are gigabytes."""
        if self._context is not None:
            self._context.clear()  # type: ignore[attr-defined]
            self._context = None
        ti: Any = self.task_instance
        with suppress(Exception):
            ti.task = None
            ti._cached_template_context = None  # noqa: SLF001 - holds the DAG as well

    def _budgets(self) -> Budgets:
        given = {name: value for name, value in self.budgets.items() if value is not None}
        return Budgets(**given)

    def _show(self, order: Order) -> None:
        """Write into the task log what runs, and where it starts and ends."""
        finish = "a worker" if self.worker else "the triggerer"
        start = "a worker" if self.rendered else "the triggerer"
        self._say.info("step %s, started by %s, finished by %s", self.step, start, finish)
        for line in lines(order):
            self._say.info("%s", line)

    def _emit(self, text: str, stamp: str) -> None:
        """Write a line of the pod's log with the time at which the pod printed it; one that tells a value is kept."""
        if self._early is not None and self._early.take(text):
            return
        if stamp:
            self._pod_log.info(text, timestamp=micros(stamp))
        else:
            self._pod_log.info(text)

    async def _end_pods(self, *, ask: bool = True) -> None:
        if self._run is not None:
            ended = await end_pods(self._run, self.namespace, connection=self.connection, ask=ask, say=self._say.info)
            if ended and self._work is not None:
                await self._work.stopped()

    def _end_if_timed_out(self) -> None:
        """Airflow's own timeout calls no `on_kill`: end the pod here, once the net behind our own timeout tears."""
        limit = getattr(self, "timeout_after", None)
        if limit is None or self._run is None:
            return
        limit = limit if limit.tzinfo else limit.replace(tzinfo=UTC)
        if limit < datetime.now(tz=UTC):
            in_background(self._end_pods(ask=False))


_FIELDS = {"params": "params", "step_params": "params", "inputs": "inputs", "output": "output", "output_url": "output"}
"""What a mapped argument may be called, by the operator and by people's own lists of objects."""


def _event(payload: dict[str, Any]) -> TriggerEvent:
    """Make an event that a worker takes up in `StepOperator.execute_complete`."""
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]
