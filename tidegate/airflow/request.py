"""From a step that is to run to the question for the ledger: must it?

Reads: the stores, for the version of each input; a Secret's version where the step opts in. Pure otherwise. The
trigger and `tidegate plan` make the same request of the same step, so a plan says what the trigger will do.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tidegate.airflow.spec import SpecError
from tidegate.ledger import BadKey, MutableImage, Output, Proof, Request, Task, declared, input_identity, key_of
from tidegate.ledger.canonical import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegate.airflow.attempts import Order
    from tidegate.airflow.identity import Identity
    from tidegate.airflow.kube import Pods
    from tidegate.ledger import Probe

FORCE = "force"
"""Key of a run's conf: true, or a list of tasks or steps that must run whatever is recorded."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a run says beside the step's own fields."""

    run_params: Mapping[str, Any] = field(default_factory=dict)
    """Of the whole run; shown, no part of the key."""
    force: bool = False
    credentials: str = ""
    """The Airflow connection that the step's pod is given; what it says is no part of the work, its id is."""
    log_url: str = ""
    """Of the try."""
    named_output: bool = False
    """The output is a place that the DAG names, not the run's own."""
    known: Mapping[str, Output] = field(default_factory=dict)
    """By URL, what earlier tasks of the run wrote."""


def forced(conf: Mapping[str, Any] | None, *, task_id: str, step: str) -> bool:
    """Whether a run's conf forces this task.

    Raises:
        SpecError: It says something else than true, false or a list of names.
    """
    wanted = (conf or {}).get(FORCE, False)
    if isinstance(wanted, bool):
        return wanted
    if isinstance(wanted, list) and all(isinstance(name, str) for name in wanted):
        return bool({task_id, step} & set(wanted))
    raise SpecError(f"the run's conf has {FORCE}={wanted!r}; want true, false or a list of tasks or steps")


def run_params(context: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a run, without what only steers it; those that are no JSON are left out."""
    found = context.get("params") or {}
    plain = dict(found.dump() if hasattr(found, "dump") else found)
    return {name: value for name, value in plain.items() if name != FORCE and _is_json(value)}


def written(result: Any) -> dict[str, Output]:  # noqa: ANN401 - an XCom
    """By URL, the outputs that a task's `return_value` names; none where it names none."""
    listed = result.get("outputs") if isinstance(result, dict) else None
    return {output.url: output for output in outputs_of({"outputs": listed})} if isinstance(listed, list) else {}


def outputs_of(result: Mapping[str, Any]) -> tuple[Output, ...]:
    """The outputs of a result that the ledger can verify later; all or none."""
    try:
        return tuple(
            Output(
                name=str(one["name"]),
                url=str(one["url"]),
                size=int(one["size"]),
                sha256=str(one.get("sha256") or ""),
                etag=str(one.get("etag") or ""),
            )
            for one in result.get("outputs") or ()
        )
    except (KeyError, TypeError, ValueError):
        return ()


async def make_request(order: Order, asked: Asked, *, probe: Probe, pods: Pods) -> Request:
    """Return the question.

    Raises:
        SpecError: The image can be moved, or the chart's `ledger` block of the step cannot be used: a person mends it.
        Exception: A store or Kubernetes does not tell what is needed; the step runs without the ledger.
    """
    rules = order.spec.ledger
    seen = (asyncio.to_thread(_identity, url, asked, probe) for url in order.inputs.values())
    inputs = dict(zip(order.inputs, await asyncio.gather(*seen), strict=True))
    secrets = {order.spec.secret: await pods.secret_version(order.spec.secret)} if rules.secret_versions else {}
    if asked.credentials:
        secrets[f"connection {asked.credentials}"] = ""
    try:
        key = key_of(
            step=order.spec.name,
            image=order.spec.image,
            params=order.params if rules.params is None else declared(order.params, rules.params),
            inputs=inputs,
            keyed_by_time=rules.keyed_by_time,
            when=datetime.fromisoformat(order.run.logical_date) if order.run.logical_date else None,
            output=order.output if asked.named_output else "",
            secrets=secrets,
        )
    except MutableImage as fault:
        raise SpecError(f"set steps.{order.spec.name}.image in the chart's values: {fault}") from None
    return Request(
        task=task_of(order.run),
        key=key,
        output_path=order.output,
        run_params=asked.run_params,
        log_url=asked.log_url,
        ttl=timedelta(seconds=rules.ttl_seconds) if rules.ttl_seconds else None,
        force=asked.force,
        reusable=rules.reuse,
        proof=_proof(rules.verify, step=order.spec.name),
    )


def _proof(text: str, *, step: str) -> Proof:
    try:
        return Proof(text)
    except ValueError:
        raise SpecError(f"steps.{step}.ledger.verify is {text!r}; want one of {', '.join(Proof)}") from None


def task_of(run: Identity) -> Task:
    """The try in the ledger's words."""
    return Task(
        pipeline=run.dag_id,
        run_id=run.run_id,
        task_id=run.task_id,
        map_index=run.map_index,
        try_number=run.try_number,
    )


def _identity(url: str, asked: Asked, probe: Probe) -> dict[str, str]:
    return input_identity(url, probe.seen(url), known=asked.known.get(url))


def _is_json(value: object) -> bool:
    try:
        canonical(value)
    except BadKey:
        return False
    return True
