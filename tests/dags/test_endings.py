"""Every way a pod can end is told apart, names what to do, and is tried again only where that can help."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.dags.kubernetes_api import ended, running, taken_away, unschedulable, waiting
from tests.dags.test_pod import build
from tidegate.airflow.endings import Ending, ending, finished

RESULT = {"outputs": [{"name": "model", "url": "s3://b/m.pkl"}], "metrics": {"mae": 1.5}, "summary": "trained"}


def after(status: dict[str, Any] | None, *, trouble: str = "") -> Ending:
    pod = None if status is None else {**build(), "status": status}
    return ending("train_model", pod, trouble=trouble)


def test_a_result_is_taken_from_the_last_words() -> None:
    assert after(ended(0, json.dumps(RESULT))) == Ending(kind="succeeded", result=RESULT)


def test_a_result_too_long_for_last_words_is_handed_on_as_a_pointer() -> None:
    pointer = {"result_url": "s3://b/_RESULT.json", "sha256": "ab"}
    assert after(ended(0, json.dumps(pointer))).result == pointer


def test_a_step_may_have_nothing_to_say() -> None:
    assert after(ended(0)).kind == "succeeded"


@pytest.mark.parametrize(
    "said", ["done!", "[]", "3", '{"outputs": {}}', '{"outputs": [{"name": "x"}]}', '{"outputs": [1]}']
)
def test_last_words_that_are_no_result_fail_for_good(said: str) -> None:
    end = after(ended(0, said))
    assert (end.kind, end.retry) == ("bad_result", False)
    assert said in end.message


CASES = [
    (ended(2, "TIDEGATE_PARAMS.target is 'x'"), "bad_input", False, "TIDEGATE_PARAMS.target is 'x'"),
    (ended(75, "throttled"), "try_later", True, "throttled"),
    (ended(1, "Traceback"), "failed", True, "exit code 1):\nTraceback"),
    (ended(3), "failed", True, "exit code 3"),
    (ended(137), "stopped", True, "stopped from outside"),
    (ended(143), "stopped", True, "stopped from outside"),
    (ended(137, reason="OOMKilled"), "out_of_memory", False, "256Mi; raise steps.train_model.resources.limits.memory"),
    (taken_away("DeadlineExceeded", "x"), "deadline", True, "3600 s; raise steps.train_model.activeDeadlineSeconds"),
    (taken_away("Evicted", "low on memory"), "infrastructure", True, "(Evicted): low on memory"),
    ({"phase": "Failed", "reason": "OutOfcpu", "message": "no room"}, "infrastructure", True, "(OutOfcpu): no room"),
    (waiting("ImagePullBackOff", "not found"), "image", False, "tidegate/train_model:0123456789ab cannot be pulled"),
    (waiting("ErrImagePull", "dial tcp: lookup registry: no such host"), "registry", True, "no such host"),
    (waiting("InvalidImageName"), "image", False, "steps.train_model.image"),
    (waiting("CreateContainerConfigError", 'secret "step-x" not found'), "configuration", False, 'secret "step-x"'),
    (waiting("ContainerCreating"), "not_started", True, "ContainerCreating"),
    (unschedulable("0/1 nodes: Insufficient memory"), "not_started", True, "Insufficient memory"),
    ({"phase": "Pending"}, "not_started", True, "waited 600 s"),
    (running(), "deadline", True, "did not end in time: waited 600 s"),
    (None, "stopped", True, "deleted before its result"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "kind", "again", "said"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_each_failure_has_its_name_its_advice_and_its_retry(
    status: dict[str, Any] | None, kind: str, *, again: bool, said: str
) -> None:
    end = after(status, trouble="waited 600 s")
    assert (end.kind, end.retry) == (kind, again)
    assert said in end.message
    assert "train_model" in end.message


def test_a_disrupted_pod_is_the_clusters_fault_not_the_steps() -> None:
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": "make room",
    }
    end = after({**ended(143), "conditions": [condition]})
    assert (end.kind, end.retry) == ("infrastructure", True)
    assert "PreemptionByScheduler" in end.message


def test_a_success_stands_even_when_the_pod_was_stopped_after_it() -> None:
    assert after({**ended(0, json.dumps(RESULT)), "phase": "Failed", "reason": "DeadlineExceeded"}).kind == "succeeded"


def test_finished_is_what_will_never_run_again() -> None:
    assert finished({"status": ended(1)})
    assert finished({"status": {"phase": "Failed", "reason": "Evicted"}})
    assert not finished({"status": running()})
    assert not finished({"status": {"phase": "Pending"}})
    assert not finished({})
