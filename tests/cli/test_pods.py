"""What holds a pod back is told as precisely as Kubernetes knows it."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.cli.pods import unready


def pod(
    *containers: dict[str, Any], phase: str = "Pending", ready: bool = False, **status: list[dict[str, Any]]
) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready)}, *status.pop("conditions", [])]
    return {
        "metadata": {"name": "one"},
        "status": {"phase": phase, "conditions": conditions, "containerStatuses": list(containers), **status},
    }


def container(name: str, *, ready: bool = False, **state: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "ready": ready, "state": state}


CREATING = container("main", waiting={"reason": "PodInitializing"})


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (pod(container("main", waiting={"reason": "ImagePullBackOff"})), "main: ImagePullBackOff"),
        (pod(container("main", terminated={"exitCode": 3})), "main: ended with code 3"),
        (pod(container("main", running={})), "main: starting"),
        (pod(CREATING, initContainerStatuses=[container("init", running={})]), "init: starting"),
        (pod(CREATING, initContainerStatuses=[container("init", ready=True, terminated={"exitCode": 0})]), "Pending"),
        (pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "no memory"}]), "no memory"),
    ],
)
def test_the_first_obstacle_is_named(found: dict[str, Any], reason: str) -> None:
    assert unready([found]) == {"one": reason}


def test_a_ready_pod_holds_nothing_back() -> None:
    assert unready([pod(container("main", ready=True, running={}), phase="Running", ready=True)]) == {}


def test_a_finished_pod_holds_nothing_back() -> None:
    assert unready([pod(container("main", terminated={"exitCode": 0}), phase="Succeeded")]) == {}


def test_a_pod_that_is_being_deleted_holds_nothing_back() -> None:
    leaving = pod(container("main", running={}))
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert unready([leaving]) == {}


def test_nothing_waits_for_the_job_that_tidies_up() -> None:
    tidying = pod(container("reconcile", waiting={"reason": "ContainerCreating"}))
    tidying["metadata"]["labels"] = {"app.kubernetes.io/component": "reconcile"}
    assert unready([tidying]) == {}
