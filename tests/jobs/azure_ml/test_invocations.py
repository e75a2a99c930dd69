"""Endpoints that are asked: an online one for a reply, a batch one for a job, once for each run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.jobs.azure_ml.conftest import Step, this_machine
from tests.jobs.azure_ml.specs import BATCH, BLUE, MODEL, NIGHTLY, ONLINE
from tidegate.step import BadInput, TryAgain

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.azure_ml.fake import Fake

INPUTS = {"data": {"type": "uri_folder", "path": "https://lake.example/in"}}
SCORED = "/score/"


@pytest.fixture(scope="module")
def served_once(fake_server: Fake, tmp_path_factory: pytest.TempPathFactory) -> Fake:
    """Both endpoints with a deployment each, made once for this file."""
    fake_server.forget()
    with pytest.MonkeyPatch.context() as patch:
        this_machine(patch)
        step = Step(fake_server, tmp_path_factory.mktemp("served"))
        step("model", spec=MODEL, files={"model.pkl": "0"})
        step("endpoint ensure", spec=ONLINE, endpoint_type="online")
        step("deploy", spec=BLUE, endpoint_type="online", traffic={"blue": 100})
        step("endpoint ensure", spec=BATCH)
        step("deploy", spec=NIGHTLY, endpoint_type="batch", default=True)
    return fake_server


@pytest.fixture
def fake(served_once: Fake) -> Fake:
    """Without requests, jobs and faults."""
    served_once.forget_calls()
    return served_once


@pytest.fixture
def served(fake: Fake, tmp_path: Path) -> Step:
    return Step(fake, tmp_path)


def test_a_deployment_gets_its_traffic_and_a_batch_one_becomes_the_default(served: Step) -> None:
    blue = served.value("deploy", spec=BLUE, endpoint_type="online")
    assert (blue["status"], blue["traffic"], blue["endpoint"]) == ("Succeeded", {"blue": 100}, "iris-online")
    assert served.value("deploy", spec=NIGHTLY, endpoint_type="batch")["default"] is True


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
