"""Clusters and instances: made once, started, stopped and deleted, and no fault hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.jobs.azure_ml.specs import CLUSTER, INSTANCE
from tidegate.step import AccessDenied, NotFound, StepError, TryAgain

if TYPE_CHECKING:
    from tests.jobs.azure_ml.conftest import Step
    from tests.jobs.azure_ml.fake import Fake


@pytest.mark.parametrize(
    ("spec", "name", "kind"), [(CLUSTER, "cpu", "amlcompute"), (INSTANCE, "desk", "computeinstance")]
)
def test_ensure_makes_it_once(fake: Fake, step: Step, spec: str, name: str, kind: str) -> None:
    first, second = (step.value("compute ensure", spec=spec) for _ in range(2))
    assert (first["name"], first["type"], first["status"], first["created"]) == (name, kind, "Succeeded", True)
    assert f"/compute/{name}/details?wsid=" in first["studio_url"]
    assert second == {**first, "created": False}
    assert len(fake.asked("PUT", "/computes/")) == 1


def test_without_waiting_it_returns_once_azure_has_accepted_it(fake: Fake, step: Step) -> None:
    assert step.value("compute ensure", spec=CLUSTER, waiting=False)["created"] is True
    assert len(fake.asked("PUT", "/computes/")) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AccessDenied), (403, AccessDenied), (429, TryAgain), (500, TryAgain), (503, TryAgain)]
)
def test_a_compute_is_not_made_because_it_cannot_be_seen(
    fake: Fake, step: Step, status: int, kind: type[StepError]
) -> None:
    fake.admin.tell("GET", "status", match="/computes/", times=20, status=status)
    with pytest.raises(kind, match=f"compute cpu: .*{status}"):
        step("compute ensure", spec=CLUSTER)
    assert fake.asked("PUT", "/computes/") == []


def test_a_compute_that_azure_cannot_make_fails_with_azures_text(step: Step) -> None:
    with pytest.raises(StepError, match=r"compute cpu: .*Not enough quota: 4 cores wanted") as caught:
        step("compute ensure", spec=CLUSTER, set={"tags.fake_fails": "yes"})
    assert caught.value.exit_code == 1


def test_a_compute_that_stays_failed_is_not_waited_for_for_ever(step: Step) -> None:
    step("compute ensure", spec=CLUSTER, set={"tags.fake_fails": "yes"}, waiting=False)
    with pytest.raises(StepError, match="compute cpu is Failed"):
        step("compute ensure", spec=CLUSTER)


def test_an_instance_is_stopped_and_started_and_left_alone_where_it_is_so(fake: Fake, step: Step) -> None:
    step("compute ensure", spec=INSTANCE)
    states = [step.value(f"compute {verb}", name="desk")["status"] for verb in ("stop", "stop", "start", "start")]
    assert states == ["Stopped", "Stopped", "Running", "Running"]
    assert [line.rpartition("/")[2] for line in fake.asked("POST", "/computes/")] == ["stop", "start"]


def test_delete_says_whether_there_was_something_to_delete(step: Step) -> None:
    step("compute ensure", spec=CLUSTER)
    assert step.value("compute delete", name="cpu") == {"name": "cpu", "deleted": True}
    assert step.value("compute delete", name="cpu", missing_ok=True) == {"name": "cpu", "deleted": False}
    with pytest.raises(NotFound, match="compute cpu is not there; set missing_ok where that is fine"):
        step("compute delete", name="cpu")


def test_an_outage_in_the_middle_of_an_operation_is_waited_out(fake: Fake, step: Step) -> None:
    fake.admin.tell("GET", "status", match="/operations/", times=5, status=500)
    fake.admin.tell("GET", "status", match="/computes/", skip=1, times=6, status=429)
    assert step.value("compute ensure", spec=CLUSTER)["status"] == "Succeeded"
