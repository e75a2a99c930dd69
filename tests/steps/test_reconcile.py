"""Which pods go, and that Airflow's own table says what it is asked."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import create_engine

from tidegate.airflow.local_pods import LocalPods
from tidegate.airflow.reconcile import _task_instance, plan, read_states, reconcile

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def pod(name: str, phase: str = "Running", *, ti: str = "", age: float = 3600, task: str = "t") -> dict[str, Any]:
    made = (NOW - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
    labels = {"app.kubernetes.io/managed-by": "tidegate", "tidegate.dev/dag": "d", "tidegate.dev/task": task}
    metadata = {"name": name, "uid": f"uid-{name}", "labels": labels, "creationTimestamp": made}
    return {"metadata": metadata | {"annotations": {"tidegate.dev/ti-id": ti}}, "status": {"phase": phase}}


def gone(pods: list[dict[str, Any]], states: dict[str, str], **more: Any) -> list[str]:
    return [removal.name for removal in plan(pods, states, now=NOW, **more)]


@pytest.mark.parametrize("state", ["deferred", "scheduled", "queued", "running", "restarting"])
def test_pod_of_a_living_try_stays(state: str) -> None:
    assert gone([pod("a", ti="1"), pod("b", "Pending", ti="1")], {"1": state}) == []


@pytest.mark.parametrize("state", ["success", "failed", "skipped", "up_for_retry", "removed", ""])
def test_pod_of_a_try_that_is_over_goes(state: str) -> None:
    assert gone([pod("a", ti="1"), pod("b", "Pending", ti="1")], {"1": state}) == ["a", "b"]


def test_pod_of_a_cleared_try_goes_since_its_id_is_gone() -> None:
    assert gone([pod("a", ti="old")], {"new": "deferred"}) == ["a"]


def test_young_pods_and_pods_of_no_task_and_pods_on_their_way_out_stay() -> None:
    leaving = pod("c", ti="1")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert gone([pod("a", ti="1", age=5), pod("b"), leaving], {"1": "failed"}) == []


def test_newest_finished_pods_of_each_task_stay() -> None:
    pods = [pod(f"p{i}", "Succeeded", ti="x", age=60 * i) for i in range(5)]
    pods += [pod("q", "Failed", ti="x", task="other"), pod("living", "Succeeded", ti="1", age=9e5)]
    assert gone(pods, {"1": "deferred"}, recent=timedelta()) == ["p3", "p4"], "a result nobody has read yet must stay"
    assert gone([pod("ancient", "Succeeded", ti="x", age=8 * 86400)], {}) == ["ancient"]


def test_what_has_just_ended_stays_however_many_they_are() -> None:
    pods = [pod(f"p{i}", "Succeeded", ti="x", age=60 * i) for i in range(10, 20)]
    assert gone(pods, {}) == [f"p{i}" for i in range(15, 20)]
    late = pod("late", "Succeeded", ti="x", age=7200)
    finished = (NOW - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    late["status"]["containerStatuses"] = [{"state": {"terminated": {"finishedAt": finished}}}]
    assert gone([*pods, late], {}) == [f"p{i}" for i in range(15, 20)], "it ran for long and ended now"


def test_states_are_read_by_id(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'airflow.db'}")
    _task_instance.metadata.create_all(engine)
    known, other = uuid.uuid4(), uuid.uuid4()
    with engine.begin() as connection:
        connection.execute(_task_instance.insert().values(id=known, state="deferred"))
    assert read_states(engine, [str(known), str(other), ""]) == {str(known): "deferred"}
    engine.dispose()


def test_the_columns_are_airflows_own() -> None:
    for column in _task_instance.columns:
        assert type(TaskInstance.__table__.c[column.name].type).__name__ in {"Uuid", "UUID", "String", "StringID"}


def test_only_what_is_over_is_deleted_and_a_dry_run_deletes_nothing() -> None:
    async def story(*, dry_run: bool) -> list[str]:
        pods = LocalPods(config={})
        for item in (pod("dead", ti="1"), pod("alive", ti="2")):
            await pods.create(item)
            pods.pods[item["metadata"]["name"]]["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
        found = await reconcile(pods, lambda _ids: {"2": "deferred"}, dry_run=dry_run)
        assert [removal.name for removal in found] == ["dead"]
        return sorted(pods.pods)

    assert asyncio.run(story(dry_run=True)) == ["alive", "dead"]
    assert asyncio.run(story(dry_run=False)) == ["alive"]
