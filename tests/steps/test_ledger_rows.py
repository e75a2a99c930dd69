"""What a row tells of a step beside its result, and that waiting for another's row has an end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.triggers.base import TaskFailedEvent

from tests.steps.ledger_scene import World
from tests.steps.test_ledger_races import ENDLESS, triggerer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(address: str, tmp_path: Path) -> World:
    return World(folder=tmp_path, address=address)


def test_a_row_tells_where_a_step_ran_and_what_it_used(world: World) -> None:
    world.adds = {"usage": {"peak_memory_bytes": 50_000_000, "cpu_seconds": 0.25}}
    first, second = world.run("run one"), world.run("r2")
    assert (first.values, "usage" in first.values["return_value"]) == (second.values, False)
    row = world.uses()[0].row
    assert (row.pod.startswith("work-"), row.node) == (True, "this machine")
    assert row.log_url == "/dags/d/runs/run%20one/tasks/work?try_number=1"
    assert (row.peak_memory_bytes, row.cpu_seconds) == (50_000_000, 0.25)


NO_USAGES = ["much", {"peak_memory_bytes": "1Gi", "cpu_seconds": -1}, {"peak_memory_bytes": 1e300}]


@pytest.mark.parametrize("said", NO_USAGES, ids=str)
def test_a_usage_that_is_none_is_left_out(world: World, said: Any) -> None:
    world.adds = {"usage": said}
    assert world.run("r1").state == "success"
    row = world.uses()[0].row
    assert (row.peak_memory_bytes, row.cpu_seconds, row.state) == (None, None, "succeeded")


STEP = """
import sys, types
from dataclasses import dataclass
from tidegate.step import BadInput, main

@dataclass(frozen=True, kw_only=True)
class Settings:
    \"""None.\"""

def run(settings, store):
    kept = bytearray(100_000_000)
    raise BadInput("the file is odd")

module = types.ModuleType("work", "Fails.")
module.Settings, module.run = Settings, run
del os.environ["TIDEGATE_PARAMS"]
sys.exit(main("work", module, []))
"""
"""A step of ours that fails on its own terms."""


def test_a_failure_tells_where_it_was_and_what_it_used_too(world: World) -> None:
    assert replace(world, before=f"import os\n{STEP}").run("r1").state == "failed"
    row = world.uses()[0].row
    assert (row.node, row.log_url) == ("this machine", "/dags/d/runs/r1/tasks/work?try_number=1")
    assert row.exit_reason == "bad_input"
    assert row.peak_memory_bytes is not None
    assert row.peak_memory_bytes > 100_000_000
    assert row.cpu_seconds


@pytest.mark.parametrize("said", ["nothing", '{"usage": 1}', '["usage"]', '{"usage": {"cpu_seconds": -1}}'])
def test_a_failure_of_any_other_program_is_a_row_all_the_same(world: World, said: str) -> None:
    assert replace(world, before=f"import sys; print({said!r}); sys.exit(1)").run("r1").state == "failed"
    row = world.uses()[0].row
    assert (row.peak_memory_bytes, row.cpu_seconds, row.exit_reason) == (None, None, "application")


def test_a_wait_for_the_same_work_elsewhere_has_an_end_that_says_what_to_do(world: World) -> None:
    world.before = ENDLESS

    async def case() -> None:
        async with triggerer(world) as scene:
            scene.start("r1")
            await scene.until_created(1)
            late = scene.start("r2", dag=world.dag(queue_timeout=timedelta(seconds=1)))
            assert isinstance(await late, TaskFailedEvent)
            told = scene.comms.written["failure"]
            assert told["kind"] == "in_flight"
            assert "the same work is still under way in d, run r1, task work, row 1, after 1 s" in told["message"]
            assert '{"force": true}' in told["advice"]
            assert "queue_timeout" in told["advice"]
            assert len(scene.created()) == 1

    asyncio.run(case())
    assert {use.task.run_id: use.verdict for use in world.uses()} == {"r1": "run", "r2": "gave_up"}
