"""From what a DAG says of a step, and the chart's ConfigMap, to what is run: pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tidegate.airflow.attempts import Order, amount
from tidegate.airflow.identity import UNMAPPED, Identity, path_part
from tidegate.airflow.spec import PLATFORM_KEY, SpecError, platform, step_spec


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many steps may have a pod at once; None is no limit."""

    cluster: int | None = None
    pipelines: Mapping[str, int] = field(default_factory=dict)

    def pipeline(self, dag_id: str) -> int | None:
        """Return the limit of one DAG."""
        return self.pipelines.get(dag_id)

    @property
    def any(self) -> bool:
        """Whether anything is limited at all."""
        return self.cluster is not None or bool(self.pipelines)


def make_order(
    config: Mapping[str, str],
    run: Identity,
    *,
    step: str,
    namespace: str,
    params: Any,  # noqa: ANN401 - whatever the templates gave
    inputs: Any,  # noqa: ANN401
    output: Any,  # noqa: ANN401
) -> Order:
    """Return what to run, out of the ConfigMap's data and the rendered fields.

    Raises:
        SpecError: The ConfigMap, a parameter or an input cannot be used.
    """
    shared = platform(config)
    if not isinstance(params, Mapping) or not isinstance(inputs, Mapping):
        raise SpecError(f"step {step}: params and inputs are objects with names, not {params!r} and {inputs!r}")
    return Order(
        spec=step_spec(step, config),
        run=run,
        namespace=namespace,
        params=plain(params),
        inputs={name: shared.url(_text(step, f"input {name!r}", value)) for name, value in inputs.items()},
        output=shared.url(_text(step, "output", output) if output else default_output(run)),
    )


def default_output(run: Identity) -> str:
    """Return the prefix that belongs to one task instance alone."""
    parts = ["runs", *(path_part(part) for part in (run.dag_id, run.run_id, run.task_id))]
    return "/".join(parts if run.map_index == UNMAPPED else [*parts, str(run.map_index)])


def memory_cap(config: Mapping[str, str], step: str) -> str:
    """Return up to where a step that ran out of memory gets more; "" is never.

    Raises:
        SpecError: It is no amount of memory.
    """
    cap = str(json.loads(config[step]).get("memory_cap") or "")
    try:
        return cap if not cap or amount(cap) else ""
    except ValueError as fault:
        raise SpecError(f"steps.{step}.memoryCap: {fault}") from None


def limits(config: Mapping[str, str]) -> Limits:
    """Return how many steps may run at once, out of `{"limits": {"cluster": 20, "pipelines": {"petrol": 2}}}`.

    Raises:
        SpecError: A limit is not a positive whole number.
    """
    entry = json.loads(config.get(PLATFORM_KEY) or "{}").get("limits") or {}
    found = Limits(cluster=entry.get("cluster"), pipelines=entry.get("pipelines") or {})
    named = {"limits.cluster": found.cluster, **{f"limits.pipelines.{k}": v for k, v in found.pipelines.items()}}
    for where, value in named.items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise SpecError(f"{where} is {value!r} in the chart's values; want a whole number from 1, or nothing")
    return found


def plain(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """JSON's own types: results of mapped tasks arrive as lazy sequences on a worker."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def _text(step: str, what: str, value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise SpecError(
        f"{what} of step {step} is {value!r}, want a URL or a path; "
        "if it is another step's output, that step has none of this name"
    )
