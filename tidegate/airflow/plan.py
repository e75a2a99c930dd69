"""What a run of a DAG would do now: RUN, SKIP or WAIT for each step, why, and for how many minutes. Writes nothing.

    python -m tidegate.airflow.plan DAG [--conf JSON]     in the triggerer's container, which has all it reads

Reads: the serialized DAG in Airflow's database, the ConfigMap of steps, the ledger, the stores. Each step's question is
made by its own trigger, of what the plan expects the steps before it to hand over, and answered by the ledger's own
decision: nothing here decides. Prints one line of JSON after `PLAN `, or `FAULT ` and what to change.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from tidegate.airflow import results
from tidegate.airflow.clerk import find_address
from tidegate.airflow.kube import Kube
from tidegate.airflow.references import MAPPED, XCOM, ReferenceError_
from tidegate.airflow.spec import CONFIG_MAP, SpecError, steps_namespace
from tidegate.airflow.stand_in import FakeAirflow, trigger_of
from tidegate.airflow.templates import TemplateError
from tidegate.ledger import BadKey, Ledger, LedgerError
from tidegate.ledger.plan import Planned, plan
from tidegate.ledger.verify import StoreProbe
from tidegate.step import NotFound, Stores

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from datetime import datetime

    from airflow.serialization.definitions.dag import SerializedDAG

    from tidegate.airflow.kube import Pods
    from tidegate.airflow.trigger import StepTrigger
    from tidegate.ledger import Request
    from tidegate.ledger.plan import Line, Upstream

RUN_ID = "plan"


def plan_dag(
    encoded: dict[str, Any],
    dag: SerializedDAG,
    *,
    conf: Mapping[str, Any],
    ledger: Ledger,
    connect: Callable[[], Awaitable[Pods]],
    logical_date: datetime | None = None,
) -> list[Line]:
    """The plan of a run.

    Args:
        encoded: The serialized DAG.
        dag: The same, unpacked.
        conf: The run's conf.
        ledger: Whose probe looks at the stores.
        connect: Opens the cluster.
        logical_date: Of the run; without one its time is now.
    """
    triggers = {}
    for task_id in _ordered(dag):
        comms = FakeAirflow({})
        trigger = trigger_of(
            encoded,
            dag_id=dag.dag_id,
            task_id=task_id,
            run_id=RUN_ID,
            comms=comms,
            conf=conf,
            logical_date=logical_date,
        )
        if trigger is not None:
            triggers[task_id] = (trigger, comms)
    steps = [
        _planned(dag.get_task(task_id), trigger, comms, ledger=ledger, connect=connect, steps=frozenset(triggers))
        for task_id, (trigger, comms) in triggers.items()
    ]
    return ledger.run(plan(steps))


def _ordered(dag: SerializedDAG) -> list[str]:
    """Every task after those before it; among equals by name."""
    graph = {task.task_id: sorted(task.upstream_task_ids) for task in sorted(dag.tasks, key=lambda task: task.task_id)}
    return list(TopologicalSorter(graph).static_order())


def _planned(
    task: Any,  # noqa: ANN401 - serialized operators have no common type
    trigger: StepTrigger,
    comms: FakeAirflow,
    *,
    ledger: Ledger,
    connect: Callable[[], Awaitable[Pods]],
    steps: frozenset[str],
) -> Planned:
    read = sorted(set(_references([trigger.step_params, trigger.inputs, trigger.output_url])))

    def build(upstream: Upstream) -> Request:
        if task.is_mapped or task.get_closest_mapped_task_group() is not None:
            raise BadKey("it is mapped: each of its instances asks for itself")
        if others := sorted(set(read) - steps):
            raise BadKey(f"reads what {', '.join(others)} will hand over")
        comms.xcoms = {
            name: results.values({"outputs": [asdict(one) for one in outs]}) for name, outs in upstream.items()
        }
        try:
            with comms.installed():
                return asyncio.run(_question(trigger, ledger, connect))
        except (SpecError, TemplateError, ReferenceError_) as fault:
            raise BadKey(str(fault)) from None

    inputs = tuple(name for name in read if name in steps)
    return Planned(task_id=task.task_id, step=trigger.step, inputs_from=inputs, build=build)


async def _question(trigger: StepTrigger, ledger: Ledger, connect: Callable[[], Awaitable[Pods]]) -> Request:
    pods = await connect()
    try:
        return await trigger.question(await pods.config(CONFIG_MAP), probe=ledger.probe, pods=pods)
    finally:
        await pods.close()


def _references(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """The tasks whose values these fields hold."""
    if isinstance(value, dict):
        if set(value) == {XCOM}:
            yield value[XCOM]["task_id"]
        elif set(value) != {MAPPED}:
            for item in value.values():
                yield from _references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _references(item)


def main() -> None:
    """Print the plan of the DAG that the arguments name."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dag")
    parser.add_argument("--conf", default="{}", help="the run's conf, JSON")
    options = parser.parse_args()
    try:
        told = "PLAN " + json.dumps([vars_of(line) for line in _of(options.dag, json.loads(options.conf))])
    except (LedgerError, SpecError, LookupError) as fault:
        told = f"FAULT {' '.join(str(fault).split())}"
    sys.stdout.write(f"\n{told}\n")


def vars_of(line: Line) -> dict[str, Any]:
    """A line as JSON."""
    return asdict(line) | {"action": line.action.value}


def _of(dag_id: str, conf: Mapping[str, Any]) -> list[Line]:
    from airflow.models.serialized_dag import SerializedDagModel  # noqa: PLC0415 - opens Airflow's database

    found = SerializedDagModel.get(dag_id)
    if found is None or found.data is None:
        raise LookupError(f"Airflow knows no DAG {dag_id!r}; `tidegate status` lists those it knows")
    if not (address := asyncio.run(find_address())):
        raise SpecError("there is no ledger, so every step runs; make the Secret ledger, see the chart's values")
    ledger = Ledger(address, probe=StoreProbe(Stores(), missing=NotFound))
    try:
        return plan_dag(found.data, found.dag, conf=conf, ledger=ledger, connect=_connect)
    finally:
        ledger.shut()


async def _connect() -> Kube:
    return await Kube.connect(steps_namespace())


if __name__ == "__main__":
    main()
