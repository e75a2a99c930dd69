"""`tidegate plan` says what the trigger then does: the same code asks, the same ledger answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, Param
from airflow.serialization.serialized_objects import DagSerialization

from tests.steps.ledger_scene import World
from tidegate.airflow.plan import plan_dag
from tidegate.airflow.steps import step
from tidegate.ledger import Ledger
from tidegate.ledger.plan import Action, Line
from tidegate.ledger.verify import StoreProbe
from tidegate.step import NotFound, Stores

if TYPE_CHECKING:
    from pathlib import Path

    from tidegate.airflow.local_pods import LocalPods


@pytest.fixture
def world(address: str, tmp_path: Path) -> World:
    return World(folder=tmp_path, address=address)


def pipeline() -> DAG:
    with DAG("d", schedule=None, params={"n": Param(1), "m": Param(1)}) as dag:
        up = step("work", task_id="up", params={"n": "{{ params.n }}"})
        step("work", task_id="down", params={"m": "{{ params.m }}"}, inputs={"data": up.output["made"]})
        step.partial("work", task_id="each").expand(params=[{"i": 1}, {"i": 2}])
    return dag


def planned(world: World, dag: DAG, **conf: Any) -> dict[str, Line]:
    ledger = Ledger(world.address, probe=StoreProbe(Stores(), missing=NotFound))

    async def connect() -> LocalPods:
        return world.pods()

    try:
        encoded = DagSerialization.to_dict(dag)
        lines = plan_dag(encoded, DagSerialization.from_dict(encoded), conf=conf, ledger=ledger, connect=connect)
    finally:
        ledger.shut()
    return {line.task_id: line for line in lines}


def actions(lines: dict[str, Line]) -> dict[str, str]:
    return {name: line.action.value for name, line in lines.items()}


def run(world: World, dag: DAG, run_id: str, **conf: Any) -> int:
    """Both steps; how many pods ran."""
    before = world.ran
    up = world.run(run_id, dag=dag, task="up", conf=conf)
    assert world.run(run_id, dag=dag, task="down", conf=conf, xcoms={"up": up.values}).state == "success"
    return world.ran - before


def test_the_plan_is_what_then_happens(world: World) -> None:
    dag = pipeline()
    assert actions(planned(world, dag)) == {"up": "RUN", "down": "RUN", "each": "RUN"}
    assert planned(world, dag)["down"].reason == "reads what up will write"
    assert run(world, dag, "r1") == 2
    assert actions(planned(world, dag)) == {"up": "SKIP", "down": "SKIP", "each": "RUN"}
    assert run(world, dag, "r2") == 0
    changed = planned(world, dag, m=2)
    assert actions(changed) == {"up": "SKIP", "down": "RUN", "each": "RUN"}
    assert "params.m was 1, is 2" in changed["down"].reason
    assert changed["down"].minutes is not None
    assert run(world, dag, "r3", m=2) == 1
    assert "mapped" in changed["each"].reason


def test_force_is_planned_as_it_is_run(world: World) -> None:
    dag = pipeline()
    run(world, dag, "r1")
    assert actions(planned(world, dag, force=["down"])) == {"up": "SKIP", "down": "RUN", "each": "RUN"}
    assert run(world, dag, "r2", force=["down"]) == 1


def test_what_cannot_be_asked_says_why(world: World) -> None:
    world.image = "work:latest"
    line = planned(world, pipeline())["up"]
    assert (line.action, "steps.work.image" in line.reason) == (Action.RUN, True)
