"""`step()`: a task that runs one step in a pod of its own image. The only place that launches pods.

In a DAG file:

    train = step("train_model", params={"target": "{{ params.target }}"}, inputs={"data": "data/petrol.csv"})
    step("upload_model", inputs={"model": train.output["model"]}, output="models/petrol")

What the pod looks like is no business of a DAG: it stands in the chart's values under `steps.<name>`.

The task makes its pod on a worker, waits for it in the triggerer, and reads its result on a worker again.
XComs: `return_value` is the step's result; and one for each of its outputs, the output's URL.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from tidegate.airflow.endings import Ending, ending, finished, started
from tidegate.airflow.identity import UNMAPPED, Identity, path_part
from tidegate.airflow.pod import build_pod
from tidegate.airflow.pods import PodError, Pods
from tidegate.airflow.spec import CONFIG_MAP, SpecError, platform, step_spec

if TYPE_CHECKING:
    from datetime import datetime

    import jinja2
    from airflow.sdk import Context

NAMESPACE_VARIABLE = "TIDEGATE_STEPS_NAMESPACE"
"""Names the namespace that steps run in."""

NAMESPACE = "tidegate-steps"
"""The chart's own name for it."""

START_SECONDS = 600
"""How long a pod may wait for a node, and then for its image."""

POLL_SECONDS = 2
"""Between two looks at a pod."""

LOG_SECONDS = 10
"""Between two looks at the log of a pod that runs."""

RESERVED = frozenset({"return_value", "pod_name", "pod_namespace"})
"""XComs that no output may be named like."""

POD_OPTIONS = frozenset(inspect.signature(KubernetesPodOperator.__init__).parameters) - {"self", "kwargs"}
"""What a plain KubernetesPodOperator takes to describe a pod."""

EXPRESSION = re.compile(r"\s*\{\{(?P<expression>(?:(?!\{\{|\}\}|\{%).)+)\}\}\s*", re.DOTALL)
"""A template that is one expression and nothing around it."""


class StepOperator(KubernetesPodOperator):
    """Run a step; use `step()` to make one.

    Args:
        step: Name of the step.
        step_params: Its parameters, JSON values by name (templated; one whole `{{ expression }}` keeps its type).
        inputs: URLs by name, or paths under the store's root (templated; outputs of other steps).
        output_url: URL or path of the prefix it writes under (templated); None gives one of its own for each run.
        kwargs: Options of any Airflow task, such as `retries`; none that describe the pod.
    """

    template_fields: Sequence[str] = ("step_params", "inputs", "output_url")
    template_fields_renderers: ClassVar[dict[str, str]] = {"step_params": "json", "inputs": "json"}
    ui_color = "#d6ecef"

    def __init__(
        self,
        *,
        step: str,
        step_params: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
        output_url: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - Airflow's own
    ) -> None:
        super().__init__(
            kubernetes_conn_id=None,
            in_cluster=True if "KUBERNETES_SERVICE_HOST" in os.environ else None,
            deferrable=True,
            do_xcom_push=False,
            on_finish_action="keep_pod",
            startup_check_interval_seconds=1,
            startup_timeout_seconds=START_SECONDS,
            poll_interval=POLL_SECONDS,
            logging_interval=LOG_SECONDS,
            **kwargs,
        )
        self.step = step
        self.step_params = dict(step_params or {})
        self.inputs = dict(inputs or {})
        self.output_url = output_url
        self._claimed = ""

    @cached_property
    def _pods(self) -> Pods:
        return Pods(self.client, steps_namespace())

    def render_template(
        self,
        content: Any,  # noqa: ANN401 - Airflow's signature
        context: Context,
        jinja_env: jinja2.Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:  # noqa: ANN401
        """Render as Airflow does, but keep the type of `{{ params.n_estimators }}`: 200 stays a number."""
        rendered = super().render_template(content, context, jinja_env, seen_oids)
        if isinstance(content, str) and (found := EXPRESSION.fullmatch(content)):
            expression = (jinja_env or self.get_template_env()).compile_expression(found["expression"])
            value = expression(**context)
            return value if isinstance(value, (bool, int, float, list, dict)) else rendered
        return rendered

    def execute(self, context: Context) -> None:
        """Make the pod of this try, or find it, and wait for it in the triggerer."""
        run = identity_of(context)
        try:
            pod = self.build(self._pods.config_map(CONFIG_MAP), run)
            self._claimed = pod["metadata"]["name"]
            claimed = self._pods.claim(pod, run)
        except (SpecError, PodError) as error:
            permanent = isinstance(error, SpecError) or error.permanent
            raise (AirflowFailException if permanent else AirflowException)(str(error)) from error
        self._watch(context, claimed)

    def build(self, config: Mapping[str, str], run: Identity) -> dict[str, Any]:
        """The pod that `execute` makes, out of the ConfigMap's data and the rendered fields.

        Raises:
            SpecError: The ConfigMap, a parameter or an input cannot be used.
        """
        shared = platform(config)
        default = "/".join(["runs", *(path_part(part) for part in (run.dag_id, run.run_id, run.task_id))])
        if run.map_index != UNMAPPED:
            default += f"/{run.map_index}"
        return build_pod(
            step_spec(self.step, config),
            run,
            namespace=steps_namespace(),
            params=_plain(self.step_params),
            inputs={name: shared.url(self._input(name, value)) for name, value in self.inputs.items()},
            output=shared.url(self.output_url or default),
        )

    def _input(self, name: str, value: object) -> str:
        if isinstance(value, str) and value:
            return value
        raise SpecError(
            f"input {name!r} of step {self.step} is {value!r}, want a URL or a path; "
            "if it is another step's output, that step has none of this name"
        )

    def _watch(self, context: Context, pod: Mapping[str, Any], *, last_log_time: Any = None) -> None:  # noqa: ANN401
        """Hand over to the triggerer; ends by an exception that Airflow takes for that."""
        metadata = pod["metadata"]
        self.pod = PodGenerator.deserialize_model_dict(dict(pod))
        context["ti"].xcom_push(key="pod_name", value=metadata["name"])
        context["ti"].xcom_push(key="pod_namespace", value=metadata["namespace"])
        self.log.info("pod %s runs image %s", metadata["name"], pod["spec"]["containers"][0]["image"])
        self.log.info("its log: kubectl -n %s logs %s", metadata["namespace"], metadata["name"])
        self.invoke_defer_method(context=context, last_log_time=last_log_time)

    def trigger_reentry(self, context: Context, event: dict[str, Any]) -> None:
        """Take the result of the pod that the triggerer waited for.

        Raises:
            AirflowFailException: It failed in a way that no retry can mend.
            AirflowException: It failed otherwise.
        """
        self._claimed = event["name"]
        pod = self._pods.find(event["name"])
        end = ending(self.step, pod, trouble=event.get("message", ""))
        if pod and event["status"] == "error" and not finished(pod) and end.retry:
            self._watch_again(context, pod, event)
        if pod:
            self._collect(identity_of(context), pod, since=event.get("last_log_time"))
        if end.kind != "succeeded":
            raise (AirflowException if end.retry else AirflowFailException)(end.message)
        self._hand_back(context, end)

    def _watch_again(self, context: Context, pod: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """The triggerer lost sight of a pod that runs, as when the API server restarts: look again, a few times."""
        count = event.get("_redefer_count", 0)
        if count < self.MAX_REDEFER_ATTEMPTS:
            self.log.warning("watching pod %s again: %s", event["name"], event.get("message"))
            self.trigger_kwargs = {"_redefer_count": count + 1}
            self._watch(context, pod, last_log_time=event.get("last_log_time"))

    def _collect(self, run: Identity, pod: Mapping[str, Any], *, since: Any) -> None:  # noqa: ANN401
        """Read what is left of the log; stop a pod that has not ended, and tidy up behind one that has."""
        name = pod["metadata"]["name"]
        try:
            if started(pod):
                self._write_logs(PodGenerator.deserialize_model_dict(dict(pod)), since_time=since)
        except (HTTPError, ApiException) as error:
            self.log.warning("the log of pod %s cannot be read to its end: %s", name, error)
        try:
            if finished(pod):
                self._pods.mark_collected(name)
                self._pods.tidy(run)
            else:
                self._pods.delete(name)
        except ApiException as error:
            self.log.warning("cannot tidy up after pod %s: %s", name, error)

    def _hand_back(self, context: Context, end: Ending) -> None:
        outputs = {output["name"]: output["url"] for output in end.result.get("outputs", [])}
        if clash := sorted(RESERVED & outputs.keys()):
            raise AirflowFailException(
                f"{self.step} calls an output {', '.join(clash)}: that name is taken, use another"
            )
        self.log.info("%s: %s", self.step, end.result.get("summary") or "done")
        for name, value in sorted(end.result.get("metrics", {}).items()):
            self.log.info("metric %s = %s", name, value)
        for name, url in outputs.items():
            self.log.info("output %s: %s", name, url)
            context["ti"].xcom_push(key=name, value=url)
        context["ti"].xcom_push(key="return_value", value=dict(end.result))

    def on_kill(self) -> None:
        """Delete the pod, unless it has ended: this try was marked failed, cleared or timed out on a worker."""
        pod = self._pods.find(self._claimed) if self._claimed else None
        if pod and not finished(pod):
            self._pods.delete(self._claimed)


def step(
    name: str,
    *,
    task_id: str | None = None,
    params: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Any] | None = None,
    output: str | None = None,
    **operator_kwargs: Any,  # noqa: ANN401 - Airflow's own
) -> StepOperator:
    """A task that runs the step `name`.

    Args:
        name: The step: its module in `jobs`, folder in `images` and key in `steps` of the chart's values.
        task_id: The task's id; the step's name otherwise.
        params: Parameters of the step by name, templated; one whole `{{ expression }}` keeps its type.
        inputs: Inputs by name: a URL, a path under the store's root, or another step's `output["name"]`.
        output: URL or path of the prefix that it writes under; one of its own for each run otherwise.
        operator_kwargs: Options of any Airflow task, such as `retries` or `trigger_rule`.

    Raises:
        TypeError: An option that describes the pod; those stand in the chart's values.
    """
    if options := sorted(POD_OPTIONS & operator_kwargs.keys()):
        raise TypeError(f"step({name!r}) takes no {', '.join(options)}: set steps.{name} in the chart's values")
    return StepOperator(
        task_id=task_id or name, step=name, step_params=params, inputs=inputs, output_url=output, **operator_kwargs
    )


def steps_namespace() -> str:
    """Where steps run."""
    return os.environ.get(NAMESPACE_VARIABLE, NAMESPACE)


def identity_of(context: Context) -> Identity:
    """Whose try this is; its time is the run's logical date, or run_after where it has none."""
    ti, dag_run = context["ti"], context["dag_run"]
    date: datetime = dag_run.logical_date or dag_run.run_after
    return Identity(
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=UNMAPPED if ti.map_index is None else ti.map_index,
        try_number=ti.try_number,
        logical_date=date.isoformat(),
        ti_id=str(ti.id),
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """JSON's own types: results of mapped tasks arrive as lazy sequences."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
