"""The operator behind `step()`: a KubernetesPodOperator that starts and ends in Airflow's triggerer.

See `tidegate.airflow.paths` for when a worker takes part, and `tidegate.airflow.steps` for how a DAG file makes one.
XComs: `return_value` is the step's result; and one for each of its outputs, the output's URL.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import airflow
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.triggers.base import StartTriggerArgs

from tidegate.airflow import paths
from tidegate.airflow.order import plain
from tidegate.airflow.references import encode
from tidegate.airflow.spec import steps_namespace
from tidegate.airflow.templates import refuse, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import jinja2
    from airflow.sdk import Context

_EMPTY: Mapping[str, Any] = {"step_params": {}, "inputs": {}, "output_url": None}

TRIGGER = "tidegate.airflow.trigger.StepTrigger"
FIELDS = ("step_params", "inputs", "output_url")

TIMEOUTS = {
    "start_timeout": timedelta(minutes=10),
    "schedule_timeout": timedelta(minutes=30),
    "queue_timeout": timedelta(hours=24),
}
"""Defaults of the options of the same names."""

NET = timedelta(minutes=10)
"""How much later than our own clocks Airflow's timeout comes: it is only the net behind them."""


class StepOperator(KubernetesPodOperator):
    """Run a step; use `step()` to make one.

    Args:
        step: Name of the step.
        step_params: Its parameters, JSON values by name (templated; one whole `{{ expression }}` keeps its type).
        inputs: URLs by name, or paths under the store's root (templated; outputs of other steps).
        output_url: URL or path of the prefix it writes under (templated); None gives one of its own for each run.
        worker: True starts and ends the task on a worker.
        timeout: For the whole try, from its pod's creation on; then the pod is deleted and the try has failed.
        start_timeout, schedule_timeout: For image and start, and for a node with room.
        queue_timeout: For the same work under way elsewhere, and for a place where the chart sets limits.
        connection: An Airflow connection to another cluster than the one Airflow runs in.
        credentials: An Airflow connection whose content the step's pod is given, see `tidegate.airflow.credentials`.
        force: True runs it whatever the ledger has recorded; a run's conf can say so too, see `request.FORCE`.
        kwargs: Options of any Airflow task, such as `retries`; none that describe the pod.
    """

    template_fields: Sequence[str] = FIELDS
    template_fields_renderers: ClassVar[dict[str, str]] = {"step_params": "json", "inputs": "json"}
    ui_color = "#d6ecef"

    def __init__(
        self,
        *,
        step: str,
        step_params: Any = None,  # noqa: ANN401 - a mapping, or what a mapped task puts in its place
        inputs: Any = None,  # noqa: ANN401
        output_url: Any = None,  # noqa: ANN401
        worker: bool = False,
        timeout: timedelta | None = None,
        start_timeout: timedelta = TIMEOUTS["start_timeout"],
        schedule_timeout: timedelta = TIMEOUTS["schedule_timeout"],
        queue_timeout: timedelta = TIMEOUTS["queue_timeout"],
        connection: str | None = None,
        credentials: str | None = None,
        force: bool = False,
        **kwargs: Any,  # noqa: ANN401 - Airflow's own
    ) -> None:
        own = timeout or kwargs.get("execution_timeout")
        if own:
            kwargs["execution_timeout"] = own + queue_timeout + NET
        super().__init__(
            kubernetes_conn_id=connection, deferrable=True, do_xcom_push=True, on_finish_action="keep_pod", **kwargs
        )
        self.step = step
        self.step_params = {} if step_params is None else step_params
        self.inputs = {} if inputs is None else inputs
        self.output_url = output_url
        self.worker, self.force, self.credentials = worker, force, credentials
        self.timeout, self.queue_timeout, self.connection = own, queue_timeout, connection
        self.start_timeout, self.schedule_timeout = start_timeout, schedule_timeout
        self.path, self.path_reason = paths.choose(vars(self), worker=worker, version=airflow_version())
        if getattr(self, "_BaseOperator__from_mapped", False):
            return  # on a worker, made from a mapped task that was checked when the DAG was parsed
        check(step, vars(self), self.path)
        if self.path is not paths.Path.START:
            self.start_from_trigger = True
            self.start_trigger_args = start_args(vars(self), self.path)

    def render_template(
        self,
        content: Any,  # noqa: ANN401 - Airflow's signature
        context: Context,
        jinja_env: jinja2.Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:  # noqa: ANN401
        """Render on a worker as the trigger does: `{{ params.n_estimators }}` stays a number."""
        if isinstance(content, str):
            return render(content, dict(context))
        return super().render_template(content, context, jinja_env, seen_oids)

    def execute(self, context: Context) -> None:
        """Hand over to the triggerer, with everything rendered. Only on the path that starts on a worker."""
        from tidegate.airflow.trigger import StepTrigger  # noqa: PLC0415 - a DAG file need not import it

        dag_run: Any = context["dag_run"]
        date = dag_run.logical_date or dag_run.run_after
        kwargs = {
            **_settings(vars(self)),
            **{field: plain(getattr(self, field)) for field in FIELDS},
            "worker": True,
            "rendered": True,
            "logical_date": date.isoformat(),
        }
        self.defer(trigger=StepTrigger(**kwargs), method_name="execute_complete", timeout=self.execution_timeout)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:  # noqa: ANN401 - the return value
        """Take up what the trigger says, on a worker.

        Raises:
            AirflowFailException: The step failed in a way that no retry can mend.
        """
        if event["status"] != "success":
            raise AirflowFailException(f"{self.step}: {event['kind']}: {event['message']}")
        found = dict(event["values"])
        value = found.pop(BaseXCom.XCOM_RETURN_KEY)
        for name, url in found.items():
            context["ti"].xcom_push(key=name, value=url)
        return value

    def build_pod_request_obj(self, *_: object, **__: object) -> NoReturn:
        """Refuse: the trigger's builder makes the pod; this one's would have a sidecar for XComs."""
        raise AirflowException(f"{self.step}: the pod of a step is made in the triggerer, from the chart's values")

    def on_kill(self) -> None:
        """Do nothing on a worker: the pod belongs to the trigger."""


def start_args(options: Mapping[str, Any], path: paths.Path) -> StartTriggerArgs:
    """Return what Airflow's scheduler starts the trigger with: plain JSON, references to other tasks as markers."""
    where = f"step({options['step']!r})"
    fields = {field: encode(options.get(field) or _EMPTY[field], where=f"{where} {field}") for field in FIELDS}
    return StartTriggerArgs(
        trigger_cls=TRIGGER,
        trigger_kwargs={**_settings(options), **fields, "worker": path is paths.Path.FINISH},
        next_method="execute_complete",
        next_kwargs=None,
        timeout=None,
    )


def check(step: str, options: Mapping[str, Any], path: paths.Path) -> None:
    """Refuse while the DAG is parsed what would hang, or be ignored, when it runs."""
    paths.refuse(step, options)
    for name, field in zip(("params", "inputs", "output"), FIELDS, strict=True):
        refuse(options.get(field), where=f"step({step!r}, {name}=…)", worker=path is paths.Path.START)


def _settings(options: Mapping[str, Any]) -> dict[str, Any]:
    timeout = options.get("timeout")
    return {
        "step": options["step"],
        "namespace": steps_namespace(),
        "budgets": {
            "start": options["start_timeout"].total_seconds(),
            "schedule": options["schedule_timeout"].total_seconds(),
            "total": timeout.total_seconds() if timeout else None,
        },
        "queue": options["queue_timeout"].total_seconds(),
        "retries": options.get("retries") or 0,
        "connection": options.get("connection"),
        "credentials": options.get("credentials"),
        "force": bool(options.get("force")),
    }


def airflow_version() -> tuple[int, int]:
    """Return major and minor of the Airflow this runs in."""
    major, minor = airflow.__version__.split(".")[:2]
    return int(major), int(minor)
