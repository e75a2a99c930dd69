"""Each class of failure, from statuses as real kubelets and schedulers write them."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.airflow.failures import ADVICE, Failure, Kind, Running, Succeeded, Then, Waiting, deleted, gave_up, judge

STARTED = "2026-01-01T00:00:00Z"


def pod(phase: str = "Pending", state: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    containers = [{"name": "base", "state": state}] if state else []
    return {"metadata": {"name": "p"}, "status": {"phase": phase, "containerStatuses": containers, **status}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return pod(state={"waiting": {"reason": reason, "message": message}})


def ended(code: int, reason: str = "Error", message: str = "", **status: Any) -> dict[str, Any]:
    terminated = {"exitCode": code, "reason": reason, "message": message, "startedAt": STARTED}
    return pod("Failed", {"terminated": terminated}, **status)


PULL = 'failed to pull and unpack image "registry.local/x:1": failed to resolve reference "registry.local/x:1": '


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (waiting("InvalidImageName", 'Failed to apply default image tag "A//b": couldn\'t parse'), Kind.IMAGE_MISSING),
        (waiting("ErrImageNeverPull"), Kind.IMAGE_MISSING),
        (waiting("ErrImagePull", PULL + "registry.local/x:1: not found"), Kind.IMAGE_MISSING),
        (waiting("ImagePullBackOff", f'Back-off pulling "x": ErrImagePull: {PULL} not found'), Kind.IMAGE_MISSING),
        (waiting("ErrImagePull", PULL + "pull access denied, repository does not exist"), Kind.IMAGE_MISSING),
        (waiting("ErrImagePull", PULL + "unexpected status: 401 Unauthorized"), Kind.IMAGE_MISSING),
        (waiting("ErrImagePull", PULL + "dial tcp: lookup registry.local: no such host"), Kind.IMAGE_WAITS),
        (waiting("ErrImagePull", PULL + "unexpected status code 503 Service Unavailable"), Kind.IMAGE_WAITS),
        (waiting("ErrImagePull", "429 Too Many Requests: toomanyrequests: rate limit"), Kind.IMAGE_WAITS),
        (waiting("ErrImagePull", PULL + "dial tcp 10.0.0.1:443: connect: connection refused"), Kind.IMAGE_WAITS),
        (waiting("ImagePullBackOff", 'Back-off pulling image "x"'), Kind.IMAGE_WAITS),
        (waiting("CreateContainerConfigError", 'secret "step-train-model" not found'), Kind.SECRET_MISSING),
        (waiting("CreateContainerConfigError", "couldn't find key KEY in Secret ns/step-x"), Kind.SECRET_MISSING),
        (waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
         Kind.CONTAINER_REFUSED),
        (pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1"}]),
         Kind.UNSCHEDULABLE),
        (pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]), None),
        (waiting("ContainerCreating"), None),
    ],
)  # fmt: skip
def test_what_a_pod_waits_for_is_named(status: dict[str, Any], kind: Kind | None) -> None:
    verdict = judge(status)
    assert isinstance(verdict, Waiting)
    assert verdict.kind is kind


@pytest.mark.parametrize(
    ("status", "kind", "then"),
    [
        (ended(1), Kind.APPLICATION, Then.RETRY),
        (ended(2), Kind.BAD_INPUT, Then.STOP),
        (ended(75), Kind.TRY_LATER, Then.RETRY),
        (ended(137, "OOMKilled"), Kind.OUT_OF_MEMORY, Then.MORE_MEMORY),
        (ended(137, reason="Error"), Kind.OUT_OF_MEMORY, Then.MORE_MEMORY),
        (ended(137) | {"metadata": {"deletionTimestamp": STARTED}}, Kind.DELETED, Then.RETRY),
        (ended(128, "StartError", "exec: no such file"), Kind.CONTAINER_REFUSED, Then.STOP),
        (ended(137, "ContainerStatusUnknown"), Kind.EVICTED, Then.RETRY),
        (pod("Failed", reason="DeadlineExceeded", message="active on the node longer than"), Kind.DEADLINE, Then.RETRY),
        (pod("Failed", reason="Evicted", message="The node was low on resource: memory."), Kind.EVICTED, Then.RELAUNCH),
        (ended(137) | {"status": ended(137)["status"] | {"reason": "Evicted"}}, Kind.EVICTED, Then.RETRY),
        (pod("Failed", reason="OutOfcpu", message="not enough resource: cpu"), Kind.NOT_ADMITTED, Then.RELAUNCH),
        (ended(143, conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]),
         Kind.EVICTED, Then.RETRY),
        (ended(143) | {"metadata": {"deletionTimestamp": STARTED}}, Kind.DELETED, Then.RETRY),
        (ended(2) | {"metadata": {"deletionTimestamp": STARTED}}, Kind.BAD_INPUT, Then.STOP),
    ],
)  # fmt: skip
def test_how_a_pod_ended_is_named_and_decides_what_follows(status: dict[str, Any], kind: Kind, then: Then) -> None:
    verdict = judge(status)
    assert isinstance(verdict, Failure)
    assert (verdict.kind, verdict.then) == (kind, then)


def test_success_and_running_are_told_from_the_container() -> None:
    done = pod("Running", {"terminated": {"exitCode": 0, "message": "{}", "startedAt": STARTED}})
    assert judge(done) == Succeeded("{}")
    assert judge(pod("Running", {"running": {"startedAt": STARTED}})) == Running()


def test_a_success_stands_even_when_the_pod_was_stopped_after_it() -> None:
    done = {"terminated": {"exitCode": 0, "message": "{}", "startedAt": STARTED}}
    assert judge(pod("Failed", done, reason="DeadlineExceeded")) == Succeeded("{}")


def test_a_pod_deleted_before_its_start_costs_no_retry() -> None:
    assert deleted(waiting("ContainerCreating")).then is Then.RELAUNCH
    assert deleted(pod("Running", {"running": {"startedAt": STARTED}})).then is Then.RETRY


def test_a_permanent_start_failure_is_not_retried_and_a_transient_one_is() -> None:
    assert gave_up(Waiting(why="x", kind=Kind.SECRET_MISSING), after=3).then is Then.STOP
    assert gave_up(Waiting(why="x", kind=Kind.IMAGE_WAITS), after=600).then is Then.RETRY


def test_every_class_has_advice_that_names_the_step() -> None:
    assert set(ADVICE) == set(Kind)
    text = Failure(kind=Kind.OUT_OF_MEMORY, message="m", then=Then.STOP, last_words="tail").text(step="train_model")
    assert "steps.train_model.resources.limits.memory" in text
    assert text.startswith("FAILED out_of_memory: m\nWhat to do: ")
    assert text.endswith("Last words: tail")
