"""Endpoints and deployments, online and batch: made, given traffic, asked, deleted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.jobs.azure_ml.specs import BATCH, BLUE, MODEL, NIGHTLY, ONLINE
from tidegate.step import AccessDenied, BadInput, NotFound, StepError, TryAgain

if TYPE_CHECKING:
    from tests.jobs.azure_ml.conftest import Step
    from tests.jobs.azure_ml.fake import Fake

SPECS = {"online": ONLINE, "batch": BATCH}
INPUTS = {"data": {"type": "uri_folder", "path": "https://lake.example/in"}}
SCORED = "/score/"


@pytest.fixture
def served(step: Step) -> Step:
    """Both endpoints with a deployment each."""
    step("model", spec=MODEL, files={"model.pkl": "0"})
    step("endpoint ensure", spec=ONLINE, endpoint_type="online")
    step("deploy", spec=BLUE, endpoint_type="online", traffic={"blue": 100})
    step("endpoint ensure", spec=BATCH)
    step("deploy", spec=NIGHTLY, endpoint_type="batch", default=True)
    return step


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


def test_a_deployment_gets_its_traffic_and_a_batch_one_becomes_the_default(served: Step) -> None:
    blue = served.value("deploy", spec=BLUE, endpoint_type="online")
    assert (blue["status"], blue["traffic"], blue["endpoint"]) == ("Succeeded", {"blue": 100}, "iris-online")
    assert served.value("deploy", spec=NIGHTLY, endpoint_type="batch")["default"] is True


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


def test_an_online_endpoint_is_asked_and_its_reply_is_kept(served: Step) -> None:
    result = served(
        "endpoint invoke", name="iris-online", endpoint_type="online", deployment="blue", request='{"rows": [1]}'
    )
    reply = {"predictions": [1, 2, 3], "deployment": "blue", "asked": {"rows": [1]}}
    assert result.value["reply"] == reply
    assert [output.name for output in result.outputs] == ["reply"]
    assert json.loads((served.folder / "out" / "reply.json").read_text()) == reply


@pytest.mark.parametrize("fault", ["fail", "lose"])
def test_an_online_endpoint_is_never_asked_twice(fake: Fake, served: Step, fault: str) -> None:
    fake.admin.tell("POST", fault, match=SCORED, times=20)
    with pytest.raises(TryAgain, match=r"POST https://localhost.* was (not )?answered"):
        served("endpoint invoke", name="iris-online", endpoint_type="online", request="{}")
    assert len(fake.asked("POST", SCORED)) == 1


def test_what_an_online_endpoint_is_asked_must_be_json(served: Step) -> None:
    with pytest.raises(BadInput, match=r"\$TIDEGATE_PARAMS.request is not JSON"):
        served("endpoint invoke", name="iris-online", endpoint_type="online", request="rows: 1")


def invoke(step: Step, **params: Any) -> dict[str, Any]:
    """Start the batch endpoint's job of this run."""
    return step.value("endpoint invoke", name="iris-batch", endpoint_type="batch", request_input=INPUTS, **params)


def test_a_batch_endpoint_is_invoked_once_for_each_run(fake: Fake, served: Step) -> None:
    first, second = (invoke(served) for _ in range(2))
    assert (first["status"], first["submitted"], second["submitted"]) == ("Completed", True, False)
    assert second["name"] == first["name"]
    assert len(fake.asked("POST", SCORED)) == 1
    assert invoke(served, run={"run_id": "another"})["name"] != first["name"]


@pytest.mark.parametrize("fault", ["fail", "lose", "torn"])
def test_accepted_then_500_or_no_answer_never_starts_a_second_batch_job(fake: Fake, served: Step, fault: str) -> None:
    fake.admin.tell("POST", fault, match=SCORED, times=20)
    assert invoke(served)["status"] == "Completed"
    assert len(fake.asked("POST", SCORED)) == 1
    assert len(fake.jobs()) == 1


def test_an_invocation_that_was_not_accepted_is_made_in_the_next_try(fake: Fake, served: Step) -> None:
    fake.admin.tell("POST", "status", match=SCORED, status=500)
    with pytest.raises(TryAgain, match="was answered with 500"):
        invoke(served)
    assert fake.jobs() == {}
    assert invoke(served)["attempt"] == 1


def test_a_batch_job_can_be_cancelled_by_its_run(fake: Fake, served: Step) -> None:
    going = invoke(served, waiting=False)
    assert served.value("job cancel")["name"] == going["name"]


def test_a_bad_input_of_a_batch_endpoint_is_named(served: Step) -> None:
    with pytest.raises(BadInput, match=r"request_input.data is .* want \{"):
        served("endpoint invoke", name="iris-batch", endpoint_type="batch", request_input={"data": {"colour": "green"}})
