"""What a job left is kept under the step's output, also of one that failed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.jobs.azure_ml.specs import COMMAND, FILES
from tidegate.step import BadSettings, StepError, TryAgain

if TYPE_CHECKING:
    from tests.jobs.azure_ml.conftest import Step
    from tests.jobs.azure_ml.fake import Fake

WITH_OUTPUT = f"{COMMAND}outputs: {{model: {{type: uri_folder}}}}\n"
LOG = "artifacts/user_logs/std_log.txt"
MODEL = "named-outputs/model/part-0.txt"


def kept(step: Step) -> dict[str, str]:
    """Content of every object under the output, by its path."""
    root = step.folder / "out"
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("what", "left"), [("logs", [LOG]), ("all", [LOG, MODEL])])
def test_logs_and_named_outputs_of_a_job_are_kept(step: Step, what: str, left: list[str]) -> None:
    result = step("job submit", spec=WITH_OUTPUT, files=FILES, download=what)
    assert isinstance(result.value, dict)
    name = result.value["name"]
    found = kept(step)
    assert sorted(found) == sorted(f"{name}/{path}" for path in [*left, "artifacts.json"])
    assert found[f"{name}/{LOG}"] == f"hello from {name}\nCompleted\n"
    assert what == "logs" or found[f"{name}/{MODEL}"] == f"model of {name}\n"
    (output,) = result.outputs
    assert (output.name, output.url) == ("artifacts", (step.folder / "out" / name / "artifacts.json").as_uri())
    listed = json.loads(found[f"{name}/artifacts.json"])
    assert listed == {
        "job": name,
        "files": [{"path": path, "bytes": len(found[f"{name}/{path}"])} for path in sorted(left)],
    }


def test_nothing_is_kept_unless_it_is_asked_for(step: Step) -> None:
    assert step("job submit", spec=WITH_OUTPUT, files=FILES).outputs == ()
    assert kept(step) == {}


def test_the_logs_of_a_job_that_failed_are_kept_and_it_still_fails_with_its_own_text(step: Step) -> None:
    failing = {"set": {"tags.fake_states": "Running,Failed", "tags.fake_error": "CUDA ran out of memory"}}
    with pytest.raises(StepError, match="CUDA ran out of memory"):
        step("job submit", spec=COMMAND, files=FILES, download="logs", **failing)
    (log,) = [text for path, text in kept(step).items() if path.endswith(LOG)]
    assert log.endswith("Failed\n")


def test_of_a_job_that_failed_the_end_counts_and_not_that_its_logs_cannot_be_read(fake: Fake, step: Step) -> None:
    fake.admin.tell("POST", "status", match="/rundata", times=20, status=403)
    with pytest.raises(StepError, match="is Failed"):
        step("job submit", spec=COMMAND, files=FILES, download="logs", set={"tags.fake_states": "Failed"})


def test_what_cannot_be_kept_now_is_kept_by_the_next_try_of_the_same_job(fake: Fake, step: Step) -> None:
    fake.admin.tell("POST", "status", match="/rundata", times=1, status=503)
    given: dict[str, Any] = {"spec": COMMAND, "files": FILES, "download": "logs"}
    with pytest.raises(TryAgain, match="rundata"):
        step("job submit", **given)
    value = step("job submit", run={"try_number": 2}, **given).value
    assert isinstance(value, dict)
    assert value["submitted"] is False
    assert f"{value['name']}/{LOG}" in kept(step)


def test_waiting_for_another_ones_job_keeps_what_it_left(step: Step) -> None:
    name = step.value("job submit", spec=COMMAND, files=FILES)["name"]
    step("job wait", name=name, download="logs", run={"run_id": "another"})
    assert f"{name}/{LOG}" in kept(step)


def test_without_waiting_there_is_nothing_to_keep_yet(fake: Fake, step: Step) -> None:
    with pytest.raises(BadSettings, match="download wants to wait for the job's end"):
        step("job submit", spec=COMMAND, files=FILES, download="logs", waiting=False)
    assert fake.asked() == []
