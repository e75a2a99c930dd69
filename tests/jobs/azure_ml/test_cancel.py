"""Cancel: an action of its own that needs no name, and a word from Airflow; an eviction cancels nothing."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests import forked
from tests.jobs.azure_ml.conftest import LOADED
from tests.jobs.azure_ml.specs import COMMAND, FILES
from tidegate.step import StepError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.azure_ml.conftest import Step
    from tests.jobs.azure_ml.fake import Fake

GOING: dict[str, Any] = {"set": {"tags.fake_states": "Running"}}


def test_cancel_finds_the_job_of_the_run_without_its_name(fake: Fake, step: Step) -> None:
    going = step.value("job submit", spec=COMMAND, files=FILES, waiting=False, **GOING)
    ended = step.value("job cancel")
    assert ended == {"name": going["name"], "status": "Canceled", "cancelled": True, "studio_url": going["studio_url"]}
    assert fake.jobs() == {going["name"]: "Canceled"}
    assert step.value("job cancel")["cancelled"] is False
    assert len(fake.asked("POST", "/cancel")) == 1


def test_cancel_of_the_latest_attempt_leaves_the_earlier_ones(fake: Fake, step: Step) -> None:
    with pytest.raises(StepError):
        step("job submit", spec=COMMAND, files=FILES, set={"tags.fake_states": "Failed"})
    going = step.value("job submit", spec=COMMAND, files=FILES, waiting=False, **GOING)
    assert step.value("job cancel", waiting=False)["name"] == going["name"]
    assert [line.split("/")[-2] for line in fake.asked("POST", "/cancel")] == [going["name"]]


def test_cancel_by_name(step: Step) -> None:
    going = step.value("job submit", spec=COMMAND, files=FILES, waiting=False, **GOING)
    assert step.value("job cancel", name=going["name"], run={"run_id": "another"})["status"] == "Canceled"


@pytest.mark.parametrize("name", ["", "nobody"])
def test_nothing_to_cancel_is_fine(step: Step, name: str) -> None:
    assert step.value("job cancel", name=name) == {"name": "", "status": "", "cancelled": False, "studio_url": ""}


def test_a_cancelled_job_is_not_taken_for_success_and_is_followed_by_another(step: Step) -> None:
    step.value("job submit", spec=COMMAND, files=FILES, waiting=False, **GOING)
    step.value("job cancel")
    with pytest.raises(StepError, match="is Canceled: somebody cancelled it") as caught:
        step("job wait")
    assert caught.value.exit_code == 2
    assert step.value("job submit", spec=COMMAND, files=FILES)["attempt"] == 2


class Pod:
    """The step as a process, waiting for a job that does not end by itself."""

    def __init__(self, step: Step, folder: Path) -> None:
        self.word = folder / "stopped"
        self.word.write_text("")
        params = {"action": "job submit", "spec": COMMAND, "files": FILES, **GOING}
        environ = step.environment(params, run={}, more={"TIDEGATE_STOPPED_FILE": str(self.word)})
        self.process = forked.Program(["-m", "jobs", "azure_ml"], env=environ, cwd=folder, loaded=LOADED)

    def read_until(self, word: str) -> str:
        """What it says until a line with that word, which it ends with."""
        said = ""
        for line in self.process.stdout:
            said += line.decode()
            if word in said:
                return said
        pytest.fail(f"it ended without {word!r}:\n{said}")

    def end(self) -> tuple[int, str]:
        """Its exit code, and what it says until then."""
        with self.process:
            self.process.send_signal(signal.SIGTERM)
            return self.process.wait(60), self.process.stdout.read().decode()


def test_eviction_leaves_the_job_and_a_stop_in_airflow_cancels_it(fake: Fake, step: Step, tmp_path: Path) -> None:
    evicted = Pod(step, tmp_path)
    said = evicted.read_until("studio_url")
    name = next(iter(fake.jobs()))
    code, out = evicted.end()
    out = said + out
    assert (code, fake.jobs()) == (143, {name: "Running"}), out
    told = [json.loads(line.partition(" ")[2]) for line in out.splitlines() if line.startswith("TIDEGATE_VALUE ")]
    assert {one["name"] for one in told} == {"job_id", "job_end_point", "studio_url"}
    assert told[0]["value"] == name
    assert fake.secret not in out + fake.log.read_text()

    stopped = Pod(step, tmp_path)
    stopped.read_until(f"job {name} is there, Running")
    stopped.word.write_text("the task was marked failed")
    code, out = stopped.end()
    assert code == 143, out
    assert next(iter(fake.jobs())) == name
    assert len(fake.asked("PUT", "/jobs/")) == 1
    assert len(fake.asked("POST", "/cancel")) == 1
