"""Mapped tasks, tasks that end on a worker, retries, and what a person does: with the real scheduler and triggerer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.cluster import effects, petrol, shapes

if TYPE_CHECKING:
    from tests.cluster.acts import Acts
    from tests.cluster.scenes import At
    from tidegate.cli.runs import Run


def hosts(at: At, run: Run) -> dict[str, set[str]]:
    """Task -> where its instances ended; nowhere where no worker took part."""
    found: dict[str, set[str]] = {}
    for one in at.api.tasks(run.dag_id, run.run_id):
        found.setdefault(one["task_id"], set()).add(one["hostname"] or "")
    return found


def kept(at: At, store: petrol.S3, run: Run, task: str, *, index: int = -1) -> str:
    """What the command of a task wrote."""
    (output,) = shapes.value(at, run, task, index=index)["outputs"]
    return petrol.body(store, petrol.key_of(output["url"])).decode()


def test_mapped_steps_start_in_the_triggerer_and_pick_their_own_values(at: At, acts: Acts, store: petrol.S3) -> None:
    run = acts.shapes.result().maps
    assert {task for task, where in hosts(at, run).items() if where != {""}} == {"names"}, "a worker took part"
    said = {
        task: [shapes.value(at, run, task, index=index)["summary"] for index in (0, 1)] for task in ("over", "rows")
    }
    assert said == {"over": ["Hello, one!", "Hello, two!"], "rows": ["Hello, three!", "Hello, four!"]}
    (output,) = shapes.value(at, run, "rows", index=1)["outputs"]
    assert f"/{shapes.FOLDER}/" in output["url"]
    gathered = json.loads(kept(at, store, run, "gathered"))
    assert [one["summary"] for one in gathered] == said["over"]
    assert [kept(at, store, run, "each.second", index=index) for index in (0, 1)] == ["Hello, five!\n", "Hello, six!\n"]


def test_outlets_and_success_callbacks_work_by_finishing_on_a_worker(at: At, acts: Acts) -> None:
    run = acts.shapes.result().worker_ends
    assert all(where != {""} for where in hosts(at, run).values())
    assert at.value(run, "with_outlet")["summary"] == "Hello, world!"
    assert at.value(run, "on_worker")["summary"] == "Hello, world!"
    at.until(lambda: bool(at.api.runs(shapes.CONSUMER)), what="a run of the asset's consumer")
    at.until(lambda: shapes.variable(at, shapes.CALLED) == run.run_id, what="the success callback")


def test_a_failure_is_retried_and_its_reason_does_not_outlive_the_success(at: At, acts: Acts) -> None:
    run = acts.shapes.result().failing
    tasks = {one["task_id"]: (one["state"], one["try_number"]) for one in at.api.tasks(run.dag_id, run.run_id)}
    assert tasks == {"flaky": ("success", 2), "refuse": ("failed", 1)}
    assert hosts(at, run) == {"flaky": {""}, "refuse": {""}}, "without retries a task fails for good in the triggerer"
    assert at.api.xcom(run.dag_id, run.run_id, "flaky", key="failure") is None
    assert at.api.xcom(run.dag_id, run.run_id, "refuse", key="failure")["kind"] == "bad_input"


def test_a_failure_callback_is_told_of_a_task_that_ended_without_a_worker(at: At, acts: Acts) -> None:
    run = acts.shapes.result().failing
    at.until(lambda: run.run_id in shapes.variable(at, shapes.TOLD), what="the failure callback")
    assert "bad_input" in shapes.variable(at, shapes.TOLD)


def test_clear_ends_the_old_pod_before_the_new_one_starts(at: At, acts: Acts) -> None:
    run = acts.cleared.result()
    lives = effects.of(at.timeline.lives(), shapes.WORK, {run.run_id})
    assert [one.succeeded for one in lives] == [False, True]
    assert effects.overlaps(lives) == [], "both tries ran at once"
    (task,) = at.api.tasks(run.dag_id, run.run_id)
    assert (task["state"], task["try_number"]) == ("success", 2)


def test_a_person_who_marks_the_task_failed_ends_its_pod(acts: Acts) -> None:
    life = acts.marked.result()
    assert not life.succeeded
