"""`step()`: a task that runs one step in a pod of its own image. The only place that launches pods.

In a DAG file:

    train = step("train_model", params={"target": "{{ params.target }}"}, inputs={"data": "data/petrol.csv"})
    step("upload_model", inputs={"model": train.output["model"]}, output="models/petrol")
    step.partial("score", inputs={"model": train.output["model"]}).expand(params=split.output)

What the pod looks like is no business of a DAG: it stands in the chart's values under `steps.<name>`.

The task starts and ends in Airflow's triggerer; see `tidegate.airflow.paths` for when a worker takes part.
XComs: `return_value` is the step's result; and one for each of its outputs, the output's URL.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

from tidegate.airflow import paths
from tidegate.airflow.step_operator import TIMEOUTS, StepOperator, airflow_version, check, start_args
from tidegate.airflow.templates import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk.definitions.mappedoperator import MappedOperator, OperatorPartial

POD_OPTIONS = frozenset(inspect.signature(KubernetesPodOperator.__init__).parameters) - {"self", "kwargs"}
"""What a plain KubernetesPodOperator takes to describe a pod."""

_RENAMED = {"params": "step_params", "output": "output_url"}


class StepPartial:
    """A step with some arguments fixed; `expand` maps over the others, as with any Airflow task."""

    def __init__(self, partial: OperatorPartial, options: Mapping[str, Any]) -> None:
        self._partial = partial
        self._path, _ = paths.choose(options, worker=bool(options.get("worker")), version=airflow_version())
        check(options["step"], options, self._path)
        self._args = start_args(options, self._path)

    def expand(self, **mapped: Any) -> MappedOperator:  # noqa: ANN401 - lists, or another task's output
        """Run once for each element, or for each combination where several arguments are given."""
        if unknown := sorted(set(mapped) - {"params", "inputs", "output"}):
            raise TypeError(f"a step maps over params, inputs and output, not over {', '.join(unknown)}")
        for name, items in mapped.items():
            refuse(items if isinstance(items, (list, tuple, dict)) else None, where=f"expand({name}=…)")
        arguments = {_RENAMED.get(name, name): items for name, items in mapped.items()}
        return self._started(self._partial.expand(**arguments), order=list(arguments))

    def expand_kwargs(self, rows: Any) -> MappedOperator:  # noqa: ANN401 - a list of objects, or another task's output
        """Run once for each object; its keys are params, inputs and output."""
        if isinstance(rows, (list, tuple)):
            refuse(rows, where="expand_kwargs(…)")
            rows = [{_RENAMED.get(key, key): value for key, value in row.items()} for row in rows]
        return self._started(self._partial.expand_kwargs(rows), order=[])

    def _started(self, mapped: MappedOperator, *, order: list[str]) -> MappedOperator:
        """Let the scheduler start the mapped task in the triggerer.

        It puts no mapped value into a trigger's arguments; the trigger picks its own by map index.
        """
        if self._path is not paths.Path.START:
            mapped.start_from_trigger = True
            mapped.start_trigger_args = self._args
            self._args.trigger_kwargs = {**(self._args.trigger_kwargs or {}), "mapped": order}
        return mapped


class _Step:
    """Makes tasks; called as `step(…)` or `step.partial(…).expand(…)`."""

    def __call__(
        self,
        name: str,
        *,
        task_id: str | None = None,
        params: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
        output: str | None = None,
        **operator_kwargs: Any,  # noqa: ANN401 - Airflow's own
    ) -> StepOperator:
        """Make a task that runs the step `name`.

        Args:
            name: The step: its module in `jobs`, folder in `images` and key in `steps` of the chart's values.
            task_id: The task's id; the step's name otherwise.
            params: Parameters of the step by name, templated; one whole `{{ expression }}` keeps its type.
            inputs: Inputs by name: a URL, a path under the store's root, or another step's `output["name"]`.
            output: URL or path of the prefix that it writes under; one of its own for each run otherwise.
            operator_kwargs: `worker`, `timeout` and others of `StepOperator`, and options of any Airflow task.

        Raises:
            TypeError: An option that describes the pod; those stand in the chart's values.
            TemplateError: A template that would hang or fail in the triggerer.
        """
        _no_pod_options(name, operator_kwargs)
        return StepOperator(
            task_id=task_id or name, step=name, step_params=params, inputs=inputs, output_url=output, **operator_kwargs
        )

    def partial(
        self,
        name: str,
        *,
        task_id: str | None = None,
        params: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
        output: str | None = None,
        **operator_kwargs: Any,  # noqa: ANN401 - Airflow's own
    ) -> StepPartial:
        """Fix some arguments of a step that runs once for each element of others; arguments as for `step`."""
        _no_pod_options(name, operator_kwargs)
        given = {"step_params": params, "inputs": inputs, "output_url": output}
        fields = {key: value for key, value in given.items() if value is not None}
        partial = StepOperator.partial(task_id=task_id or name, step=name, **fields, **operator_kwargs)
        return StepPartial(partial, {**TIMEOUTS, **_default_args(), **partial.kwargs})


step = _Step()


def _default_args() -> dict[str, Any]:
    """Return `default_args` of the DAG and task group being written: Airflow adds ours only on a worker."""
    from airflow.sdk.definitions._internal.contextmanager import DagContext, TaskGroupContext  # noqa: PLC0415

    dag = DagContext.get_current()
    group = TaskGroupContext.get_current(dag) if dag else None
    return {**(getattr(dag, "default_args", None) or {}), **(getattr(group, "default_args", None) or {})}


def _no_pod_options(name: str, options: Mapping[str, Any]) -> None:
    if described := sorted(POD_OPTIONS & options.keys()):
        raise TypeError(f"step({name!r}) takes no {', '.join(described)}: set steps.{name} in the chart's values")
