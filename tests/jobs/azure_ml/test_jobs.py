"""Jobs: one for each run, whatever comes between, and no end but Completed is success."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.jobs.azure_ml.specs import AUTOML, COMMAND, FILES, NER, PARALLEL, PIPELINE, SWEEP, TABLE, TRAIN
from tidegate.step import BadInput, StepError, TryAgain

if TYPE_CHECKING:
    from tests.jobs.azure_ml.conftest import Step
    from tests.jobs.azure_ml.fake import Fake


def states(*names: str, **more: str) -> dict[str, Any]:
    """The stand-in takes the job through these."""
    return {"set": {f"tags.fake_{name}": value for name, value in {"states": ",".join(names), **more}.items()}}


def submissions(fake: Fake) -> list[str]:
    return fake.asked("PUT", "/jobs/")


def test_a_job_with_local_code_is_submitted_and_waited_for(fake: Fake, step: Step) -> None:
    value = step.value("job submit", spec=COMMAND, files=FILES)
    assert value["status"] == "Completed"
    assert value["name"].startswith("iris-")
    assert value["studio_url"].startswith(f"{fake.url}/runs/{value['name']}?wsid=/subscriptions/")
    assert value["studio_url"].endswith("&tid=11111111-1111-1111-1111-111111111111")
    assert (value["attempt"], value["submitted"], value["experiment"]) == (1, True, "testing-airflow")
    assert value["id"].endswith(f"/jobs/{value['name']}")
    uploaded = [one for one in fake.asked("PUT") if one.endswith("/src/main.py")]
    assert uploaded, "the code is in Azurite"


@pytest.mark.parametrize(
    ("spec", "files"),
    [
        (SWEEP, FILES),
        (AUTOML, TABLE),
        (PIPELINE, {"train.yml": TRAIN, **FILES}),
        (PARALLEL, FILES),
    ],
    ids=["sweep", "automl", "pipeline", "parallel"],
)
def test_every_kind_of_job_of_the_original_is_submitted(fake: Fake, step: Step, spec: str, files: Any) -> None:
    assert step.value("job submit", spec=spec, files=files)["status"] == "Completed"
    assert len(submissions(fake)) == 1


def test_a_text_job_that_ends_poor_trials_early_is_submitted_read_back_and_found_again(fake: Fake, step: Step) -> None:
    first, second = (step.value("job submit", spec=NER, files=TABLE) for _ in range(2))
    assert (first["status"], second) == ("Completed", {**first, "submitted": False})
    sent = fake.resource(first["name"])["taskDetails"]["sweepSettings"]["earlyTermination"]
    assert {name: sent[name] for name in ("policyType", "evaluationInterval", "slackFactor", "delayEvaluation")} == {
        "policyType": "Bandit",
        "evaluationInterval": 2,
        "slackFactor": 0.05,
        "delayEvaluation": 6,
    }


def test_the_sdk_still_cannot_read_a_policy_of_a_text_job() -> None:
    """Once this fails, `jobs/azure_ml/repairs.py` can go."""
    settings = importlib.import_module("azure.ai.ml.entities._job.automl.nlp.nlp_sweep_settings").NlpSweepSettings
    given = {"samplingAlgorithm": "Random", "earlyTermination": {"policyType": "Bandit"}}
    with pytest.raises(AttributeError, match="policy_type"):
        settings._from_rest_object(given)


def test_two_executions_make_one_job(fake: Fake, step: Step) -> None:
    first, second = (step.value("job submit", spec=COMMAND, files=FILES) for _ in range(2))
    assert len(submissions(fake)) == 1
    assert second == {**first, "submitted": False}


def test_an_execution_beside_a_running_one_attaches_to_its_job(fake: Fake, step: Step) -> None:
    slow = states("Running", "Completed", seconds="2")
    going = step.value("job submit", spec=COMMAND, files=FILES, waiting=False, **slow)
    assert going["status"] == "Running"
    done = step.value("job submit", spec=COMMAND, files=FILES, **slow)
    assert (done["name"], done["submitted"], done["status"]) == (going["name"], False, "Completed")
    assert step.value("job wait")["name"] == going["name"]
    assert len(submissions(fake)) == 1


def test_runs_and_mapped_tasks_have_jobs_of_their_own(fake: Fake, step: Step) -> None:
    for run in ({}, {"run_id": "manual__2"}, {"map_index": 3}, {"task_id": "diabetes"}):
        step.value("job submit", spec=COMMAND, files=FILES, waiting=False, run=run)
    assert len(fake.jobs()) == 4


def test_a_failed_job_fails_the_task_with_its_text_and_the_next_try_makes_another(fake: Fake, step: Step) -> None:
    failing = states("Running", "Failed", error="CUDA ran out of memory")
    with pytest.raises(StepError, match=r"job iris-\w+ is Failed: UserError: CUDA ran out of memory") as caught:
        step("job submit", spec=COMMAND, files=FILES, **failing)
    assert caught.value.exit_code == 1
    again = step.value("job submit", spec=COMMAND, files=FILES, run={"try_number": 2})
    assert again["name"].endswith("-2")
    assert (again["attempt"], again["status"]) == (2, "Completed")
    assert step.value("job submit", spec=COMMAND, files=FILES, run={"try_number": 3})["name"] == again["name"]
    assert len(submissions(fake)) == 2


@pytest.mark.parametrize(("end", "code"), [("Canceled", 2), ("NotResponding", 1), ("Paused", 1)])
def test_no_end_but_completed_is_success(step: Step, end: str, code: int) -> None:
    with pytest.raises(StepError, match=f"is {end}: ") as caught:
        step("job submit", spec=COMMAND, files=FILES, **states("Running", end, error="the node is gone"))
    assert caught.value.exit_code == code
    assert end == "Paused" or "the node is gone" in str(caught.value)


def test_a_changed_definition_is_another_job_once_the_first_has_ended(fake: Fake, step: Step) -> None:
    first = step.value("job submit", spec=COMMAND, files=FILES)
    changed = step.value("job submit", spec=COMMAND, files=FILES, set={"inputs.rate": 0.9})
    renamed = step.value("job submit", spec=COMMAND, files=FILES, set={"inputs.rate": 0.9, "display_name": "x"})
    other_code = step.value("job submit", spec=COMMAND, files={"src/main.py": "print('bye')\n"})
    assert [one["attempt"] for one in (first, changed, renamed, other_code)] == [1, 2, 2, 3]


def test_a_running_job_of_another_definition_is_not_taken_for_this_one(fake: Fake, step: Step) -> None:
    step.value("job submit", spec=COMMAND, files=FILES, waiting=False, **states("Running"))
    with pytest.raises(TryAgain, match="made from another definition: cancel it, or wait for its end"):
        step("job submit", spec=COMMAND, files=FILES, set={"inputs.rate": 0.9})
    assert len(submissions(fake)) == 1


def test_again_makes_a_job_of_its_own_for_each_try_and_only_one(fake: Fake, step: Step) -> None:
    names = [
        step.value("job submit", spec=COMMAND, files=FILES, again=again, run={"try_number": number})["name"]
        for again, number in ((False, 1), (True, 2), (True, 2), (True, 3))
    ]
    assert len(set(names)) == 3
    assert names[1] == names[2]


@pytest.mark.parametrize("fault", ["fail", "lose", "torn"])
def test_accepted_then_500_or_no_answer_never_starts_a_second_job(fake: Fake, step: Step, fault: str) -> None:
    fake.admin.tell("PUT", fault, match="/jobs/", times=20)
    value = step.value("job submit", spec=COMMAND, files=FILES)
    assert (value["status"], value["attempt"]) == ("Completed", 1)
    assert list(fake.jobs()) == [value["name"]]


def test_a_submission_that_azure_never_accepts_is_tried_later(fake: Fake, step: Step) -> None:
    fake.admin.tell("PUT", "status", match="/jobs/", times=20, status=503)
    with pytest.raises(TryAgain, match=r"submitting job iris-\w+: 503"):
        step("job submit", spec=COMMAND, files=FILES)
    assert fake.jobs() == {}


def test_an_upload_that_collides_with_another_one_is_made_again(fake: Fake, step: Step) -> None:
    fake.admin.tell("PUT", "status", match="/codes/", status=409)
    assert step.value("job submit", spec=COMMAND, files=FILES)["status"] == "Completed"


def test_an_upload_that_the_sdk_lost_ends_in_time(fake: Fake, step: Step) -> None:
    fake.admin.tell("PUT", "status", match="/src/main.py", status=403)
    with pytest.raises(TryAgain, match=r"not over within 2 s \(\$AZURE_ML_SUBMIT_SECONDS\)"):
        step("job submit", spec=COMMAND, files=FILES, AZURE_ML_SUBMIT_SECONDS=2)
    assert fake.jobs() == {}


def test_an_outage_while_waiting_is_waited_out(fake: Fake, step: Step) -> None:
    for status in (500, 429, 401):
        fake.admin.tell("GET", "status", match="/jobs/", skip=4, times=6, status=status)
    value = step.value("job submit", spec=COMMAND, files=FILES, **states("Queued", "Running", "Running", "Completed"))
    assert value["status"] == "Completed"
    assert len(submissions(fake)) == 1


def test_when_patience_is_over_the_job_goes_on_without_us(fake: Fake, step: Step) -> None:
    fake.admin.tell("GET", "status", match="/jobs/", skip=2, times=100, status=500)
    with pytest.raises(TryAgain):
        step("job submit", spec=COMMAND, files=FILES, AZURE_ML_PATIENCE_SECONDS=0, **states("Running"))
    assert set(fake.jobs().values()) == {"Running"}
    assert fake.asked("POST", "/cancel") == []


def test_a_job_that_queues_for_too_long_is_cancelled(fake: Fake, step: Step) -> None:
    with pytest.raises(StepError, match=r"did not run within 0.2 s \(queue_timeout\); it is cancelled"):
        step("job submit", spec=COMMAND, files=FILES, queue_timeout=0.2, run_timeout=60, **states("Queued"))
    assert len(fake.asked("POST", "/cancel")) == 1


def test_time_in_the_queue_does_not_count_as_time_of_running(fake: Fake, step: Step) -> None:
    slow = states("Queued", "Running", seconds="0.5")
    with pytest.raises(StepError, match=r"did not end within 0.3 s of running \(run_timeout\); it is cancelled"):
        step("job submit", spec=COMMAND, files=FILES, run_timeout=0.3, **slow)
    assert len(fake.asked("POST", "/cancel")) == 1


def test_the_jobs_own_log_is_printed(step: Step, capsys: pytest.CaptureFixture[str]) -> None:
    slow = states("Queued", "Running", "Completed", seconds="1")
    value = step.value("job submit", spec=COMMAND, files=FILES, AZURE_ML_SHOW_LOGS="true", **slow)
    assert f"hello from {value['name']}" in capsys.readouterr().out


def test_a_log_that_cannot_be_read_does_not_decide_how_the_job_ended(fake: Fake, step: Step) -> None:
    fake.admin.tell("GET", "status", match="/history/", times=1000, status=500)
    value = step.value("job submit", spec=COMMAND, files=FILES, AZURE_ML_SHOW_LOGS="true")
    assert value["status"] == "Completed"


def test_the_best_child_of_a_sweep_is_handed_on(step: Step) -> None:
    best = {"properties.best_child_run_id": "iris_7"}
    assert step.value("job submit", spec=SWEEP, files=FILES, set=best)["best_child_run_id"] == "iris_7"


def test_waiting_for_a_job_that_is_not_there_is_bad_input(step: Step) -> None:
    with pytest.raises(BadInput, match="job nobody: 404"):
        step("job wait", name="nobody")


def test_a_result_is_small_enough_for_a_termination_message(step: Step) -> None:
    assert len(step("job submit", spec=COMMAND, files=FILES).to_json()) < 4096
    assert json.loads(step("job submit", spec=COMMAND, files=FILES).to_json())["value"]["status"] == "Completed"
