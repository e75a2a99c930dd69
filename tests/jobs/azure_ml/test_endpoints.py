"""Endpoints and deployments, online and batch: made, refused, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.jobs.azure_ml.specs import BATCH, BLUE, ONLINE
from tidegate.step import AccessDenied, BadInput, NotFound, StepError, TryAgain

if TYPE_CHECKING:
    from tests.jobs.azure_ml.conftest import Step
    from tests.jobs.azure_ml.fake import Fake

SPECS = {"online": ONLINE, "batch": BATCH}


@pytest.mark.parametrize("kind", SPECS)
def test_ensure_makes_it_once_and_delete_says_whether_it_was_there(fake: Fake, step: Step, kind: str) -> None:
    first, second = (step.value("endpoint ensure", spec=SPECS[kind], endpoint_type=kind) for _ in range(2))
    assert (first["type"], first["status"], first["created"]) == (kind, "Succeeded", True)
    assert first["scoring_uri"].startswith(f"{fake.url}/score/")
    assert second == {**first, "created": False}
    assert len(fake.asked("PUT", f"/{kind}endpoints/")) == 1
    name = first["name"]
    assert step.value("endpoint delete", name=name, endpoint_type=kind) == {"name": name, "deleted": True}
    assert step.value("endpoint delete", name=name, endpoint_type=kind, missing_ok=True)["deleted"] is False
    with pytest.raises(NotFound, match=f"{kind} endpoint {name} is not there; set missing_ok"):
        step("endpoint delete", name=name, endpoint_type=kind)


def test_the_schema_says_which_kind_and_without_it_the_parameter_must(step: Step) -> None:
    assert step.value("endpoint ensure", spec=BATCH)["type"] == "batch"
    with pytest.raises(BadInput, match="endpoint_type is not set, and the specification has no"):
        step("endpoint ensure", spec=ONLINE)


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize(("status", "fault"), [(403, AccessDenied), (500, TryAgain)])
def test_an_endpoint_is_not_made_because_it_cannot_be_seen(
    fake: Fake, step: Step, kind: str, status: int, fault: type[StepError]
) -> None:
    fake.admin.tell("GET", "status", match="ndpoints/", times=20, status=status)
    with pytest.raises(fault, match=f"{kind} endpoint iris-{kind}: {status}"):
        step("endpoint ensure", spec=SPECS[kind], endpoint_type=kind)
    assert fake.asked("PUT", "endpoints/") == []


def test_a_deployment_that_fails_tells_its_cause(step: Step) -> None:
    step("endpoint ensure", spec=ONLINE, endpoint_type="online")
    with pytest.raises(StepError, match=r"deployment blue of online endpoint iris-online: .*Not enough") as caught:
        step("deploy", spec=BLUE, endpoint_type="online", set={"description": "fake_fails"}, traffic={"blue": 100})
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"endpoint_type": "online", "traffic": {"blue": 50}}, "want whole percents that sum up to 100"),
        ({"endpoint_type": "online", "traffic": {"blue": "all"}}, "want whole percents that sum up to 100"),
        ({"endpoint_type": "batch", "traffic": {"blue": 100}}, "traffic is for online endpoints"),
        ({"endpoint_type": "online", "default": True}, "default is for batch endpoints"),
        ({"endpoint_type": "online", "default": True, "waiting": False}, "waiting is false"),
    ],
)
def test_traffic_that_makes_no_sense_is_refused_before_anything_is_made(
    fake: Fake, step: Step, params: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        step("deploy", spec=BLUE, **params)
    assert fake.asked("PUT") == []
