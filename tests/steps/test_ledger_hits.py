"""What must run again and what must not: each mutation of a step's work through the real trigger and a real ledger."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.steps.ledger_scene import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOUR = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def world(address: str, tmp_path: Path) -> World:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "in").write_text("one")
    return World(folder=tmp_path, address=address)


def made(world: World) -> Path:
    (found,) = world.folder.glob("store/**/made")
    return found


def test_the_same_again_starts_no_pod_and_hands_back_the_same(world: World) -> None:
    first, second = world.run("r1"), world.run("r2")
    assert (first.state, second.state, second.path) == ("success", "success", "triggerer")
    assert world.ran == 1
    assert second.values == first.values
    assert second.values["made"] == made(world).as_uri()
    assert [use.verdict for use in world.uses()] == ["hit", "run"]
    assert "nothing has changed since row 1" in "\n".join(second.log)


def rebuilt(world: World) -> None:
    world.image = world.image.replace("a" * 64, "b" * 64)


def deleted(world: World) -> None:
    made(world).unlink()


def overwritten(world: World) -> None:
    size = made(world).stat().st_size
    made(world).write_bytes(b"x" * size)


def rotated(world: World) -> None:
    world.secrets["step-work"] = "2"


MUST_RUN: dict[str, tuple[dict[str, Any], Callable[[World], None], str]] = {
    "image rebuilt under the same tag": ({}, rebuilt, "image was"),
    "output deleted": ({}, deleted, "is gone"),
    "output overwritten by other bytes of the same size": ({}, overwritten, "is not what was written"),
    "opted-in secret rotated": ({"secret_versions": True}, rotated, "secrets.step-work was"),
    "time-to-live over": ({"ttl_seconds": 1}, lambda _: time.sleep(1.1), "expired"),
    "told to run every time": ({"reuse": False}, lambda _: None, "not_reusable"),
}


@pytest.mark.parametrize("what", MUST_RUN)
def test_this_must_run_again(world: World, what: str) -> None:
    world.rules, mutate, why = MUST_RUN[what]
    world.secrets["step-work"] = "1"
    world.run("r1")
    mutate(world)
    again = world.run("r2")
    assert (again.state, world.ran) == ("success", 2)
    row = world.uses()[0].row
    assert why in f"{row.reason}: {row.detail}"


@pytest.mark.parametrize(("was", "now"), [(1, "1"), (1, True), (1, 1.5), ("a", "b"), (None, "null"), ([1], [1, 2])])
def test_a_parameter_of_another_value_or_type_must_run_again(world: World, was: Any, now: Any) -> None:
    world.run("r1", dag=world.dag(params={"n": was}))
    world.run("r2", dag=world.dag(params={"n": now}))
    assert world.ran == 2


def test_an_input_that_was_replaced_must_run_again(world: World) -> None:
    dag = world.dag(inputs={"data": "in"})
    world.run("r1", dag=dag)
    world.run("r2", dag=dag)
    assert world.ran == 1
    (world.folder / "store" / "in").write_text("two")
    world.run("r3", dag=dag)
    assert world.ran == 2
    assert "inputs.data" in world.uses()[0].row.detail


def test_a_hit_gives_back_all_that_the_result_held(world: World) -> None:
    world.adds = {"value": [{"n": 1}, 2.5, None, "ü"], "note": {"of": "its own"}}
    first, second = world.run("r1"), world.run("r2")
    assert world.ran == 1
    assert first.values["return_value"] == [{"n": 1}, 2.5, None, "ü"]
    assert (second.values, second.lengths) == (first.values, first.lengths)


def test_a_value_of_null_is_one(world: World) -> None:
    world.adds = {"value": None}
    assert [world.run(run).values["return_value"] for run in ("r1", "r2")] == [None, None]
    assert world.ran == 1


def test_a_result_that_is_too_long_for_a_row_is_never_used_again(world: World) -> None:
    world.adds, world.rules = {"value": "x" * 5000}, {"verify": "record"}
    assert [world.run(run).values["return_value"] for run in ("r1", "r2")] == ["x" * 5000] * 2
    assert world.ran == 2
    newest = world.uses()[0].row
    assert (newest.reason, newest.exit_reason) == ("not_kept", "result_not_kept")
    assert "value: 5" in newest.message
    assert "more than the 4096 a row keeps" in newest.message


def lengthened(world: World) -> None:
    made(world).write_bytes(b"quite other bytes" * 9)


@pytest.mark.parametrize(
    ("verify", "change", "again"),
    [
        ("content", overwritten, True),
        ("version", overwritten, True),
        ("size", overwritten, False),
        ("size", lengthened, True),
        ("exists", lengthened, False),
        ("exists", deleted, True),
        ("record", deleted, False),
    ],
)
def test_a_step_says_what_must_hold_of_its_result(world: World, verify: str, change: Any, again: bool) -> None:
    world.rules = {"verify": verify}
    world.run("r1")
    change(world)
    assert world.run("r2").state == "success"
    assert world.ran == 1 + again


def test_a_step_without_outputs_may_be_trusted_on_its_record(world: World) -> None:
    world.outputs, world.rules, world.adds = False, {"verify": "record"}, {"value": "checked"}
    assert [world.run(run).values for run in ("r1", "r2")] == [{"return_value": "checked"}] * 2
    assert world.ran == 1


def test_a_proof_that_is_none_is_refused(world: World) -> None:
    world.rules = {"verify": "maybe"}
    refused = world.run("r1")
    assert (refused.state, world.ran) == ("failed", 0)
    assert "steps.work.ledger.verify is 'maybe'; want one of content, version" in "\n".join(refused.log)


def test_a_step_without_outputs_runs_every_time(world: World) -> None:
    world.outputs = False
    world.run("r1")
    assert world.run("r2").state == "success"
    assert world.ran == 2


def test_an_image_that_can_be_moved_is_refused(world: World) -> None:
    world.image = "registry.example/work:latest"
    refused = world.run("r1")
    assert (refused.state, world.ran) == ("failed", 0)
    assert "set steps.work.image" in "\n".join(refused.log)


def test_what_is_no_part_of_the_work_does_not_make_it_run_again(world: World) -> None:
    world.run("r1", dag=world.dag(params={"a": 1, "b": 2}))
    world.run("r2", dag=world.dag(params={"b": 2, "a": 1}))
    world.run("r3", dag=world.dag(params={"a": 1, "b": 2}), conf={"other": 5})
    world.resources = {"limits": {"memory": "1Gi"}, "requests": {"cpu": "1"}}
    world.run("r4", dag=world.dag(params={"a": 1, "b": 2}, retries=3))
    assert world.ran == 1
    assert world.uses()[1].task.run_id == "r3"


def test_a_parameter_that_the_step_does_not_declare_is_no_part_of_the_work(world: World) -> None:
    world.rules = {"params": ["a"]}
    world.run("r1", dag=world.dag(params={"a": 1, "b": 2}))
    world.run("r2", dag=world.dag(params={"a": 1, "b": 3}))
    assert world.ran == 1
    world.run("r3", dag=world.dag(params={"a": 2, "b": 3}))
    assert world.ran == 2


@pytest.mark.parametrize(("keyed", "runs"), [("none", 1), ("hour", 2), ("minute", 3)])
def test_time_is_part_of_the_work_as_far_as_the_step_says(world: World, keyed: str, runs: int) -> None:
    world.rules = {"keyed_by_time": keyed}
    for number, moment in enumerate((HOUR, HOUR.replace(minute=1), HOUR.replace(hour=13, minute=1), HOUR)):
        world.run(f"r{number}", logical_date=moment)
    assert world.ran == runs


def test_an_output_that_is_asked_for_by_name_is_part_of_the_work(world: World) -> None:
    world.run("r1", dag=world.dag(output="here"))
    world.run("r2", dag=world.dag(output="here"))
    assert world.ran == 1
    world.run("r3", dag=world.dag(output="there"))
    assert world.ran == 2


def test_what_an_earlier_task_wrote_is_known_by_its_content(world: World) -> None:
    """The same bytes at another place, as a forced run before it writes them, are the same input."""
    first = world.run("up1")
    moved = world.run("up2", dag=world.dag(force=True))
    assert first.values["made"] != moved.values["made"]
    before = world.ran
    for number, up in enumerate((first, moved)):
        dag = world.dag(params={"n": 2})
        task = dag.get_task("work")
        task.start_trigger_args.trigger_kwargs["inputs"] = {"data": {"$xcom": {"task_id": "work", "key": "made"}}}
        assert world.run(f"down{number}", dag=dag, xcoms={"work": up.values}).state == "success"
    assert world.ran == before + 1


@pytest.mark.parametrize(
    ("options", "conf", "again"),
    [
        ({"force": True}, {}, True),
        ({}, {"force": True}, True),
        ({}, {"force": ["work"]}, True),
        ({}, {"force": ["other"]}, False),
        ({}, {"force": False}, False),
    ],
    ids=str,
)
def test_force_from_the_dag_and_from_the_runs_conf(world: World, options: Any, conf: Any, again: bool) -> None:
    world.run("r1")
    world.run("r2", dag=world.dag(**options), conf=conf)
    assert world.ran == 1 + again
    world.run("r3")
    assert world.ran == 1 + again, "a force counts once"


def test_a_force_that_is_none_is_refused(world: World) -> None:
    refused = world.run("r1", conf={"force": "yes"})
    assert (refused.state, world.ran) == ("failed", 0)
    assert "force='yes'" in "\n".join(refused.log)


def test_a_failure_is_no_result(world: World) -> None:
    broken = replace(world, before="raise SystemExit(1)")
    assert broken.run("r1").state == "failed"
    assert world.run("r2").state == "success"
    assert [use.row.exit_reason for use in world.uses()] == ["", "application"]


def test_while_the_ledger_is_away_steps_run_and_their_rows_come_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_LEDGER_URL", f"sqlite:///{world.folder}/no/such/folder.db")
    blind = world.run("r1")
    assert (blind.state, world.ran) == ("success", 1)
    assert "the ledger does not answer, the step runs without it" in "\n".join(blind.log)
    monkeypatch.setenv("TIDEGATE_LEDGER_URL", world.address)
    world.run("r2", dag=world.dag(params={"n": 9}))
    found = {use.task.run_id: use.row.reason for use in world.uses()}
    assert found["r1"] == "ledger_down"
    world.run("r3")
    assert world.ran == 2, "the row that was written late is a result like any other"


def test_the_runs_parameters_are_kept_for_the_views(world: World) -> None:
    world.run("r1", conf={"other": 7, "force": True})
    from sqlalchemy import create_engine, text  # noqa: PLC0415

    engine = create_engine(world.address)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT run_params FROM ledger_use")).scalar_one() == '{"other":7}'
    engine.dispose()
