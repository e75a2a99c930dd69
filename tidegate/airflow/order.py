"""From what a DAG says of a step, and the chart's ConfigMap, to what is run: pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tidegate.airflow.attempts import Order, amount
from tidegate.airflow.identity import UNMAPPED, Identity, path_part
from tidegate.airflow.spec import SpecError, platform, step_spec

if TYPE_CHECKING:
    from tidegate.airflow.credentials import Credentials


def make_order(
    config: Mapping[str, str],
    run: Identity,
    *,
    step: str,
    namespace: str,
    params: Any,  # noqa: ANN401 - whatever the templates gave
    inputs: Any,  # noqa: ANN401
    output: Any,  # noqa: ANN401
    credentials: Credentials | None = None,
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
        credentials=credentials,
    )


def lines(order: Order) -> list[str]:
    """What runs, for the task log: Airflow shows no rendered fields of a task without a worker."""
    named = {"image": order.spec.image, "params": dict(order.params), "inputs": dict(order.inputs)}
    if order.credentials:
        named["connection"] = order.credentials.connection
    return [f"{name} {value}" for name, value in {**named, "output": order.output}.items()]


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
