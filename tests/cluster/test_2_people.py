"""What a run says of its people is what the database holds, each is stored once, and one mail tells of each batch.

After the run that `up` started come three more, at once: its matching and its mail cleared and run again, another run
of the same date, and one whose file is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import people, petrol
from tidegate.cli import runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.conftest import Installed
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

DAG = "people"
MISSING = "s3://tidegate/tests/people/nobody.parquet"


@dataclass(frozen=True)
class First:
    """The run that `up` started, and what was there when it was over."""

    run: runs.Run
    moment: datetime
    report: dict[str, Any]
    stored: people.Stored

    @property
    def batch(self) -> str:
        return str(self.report["batch_id"])

    @property
    def message_id(self) -> str:
        return f"{self.batch}.success@tidegate.invalid"


@dataclass(frozen=True)
class After:
    """The three runs that came after it, and how each ended."""

    again: runs.Run
    missing: runs.Run
    ended: dict[runs.Run, str]


@pytest.fixture(scope="module")
def first(api: Airflow, kubectl: Kubectl, store: petrol.S3, installed: Installed) -> First:
    found = next(one for one in api.runs(DAG, limit=50) if one["dag_run_id"].startswith("up__"))
    run = runs.Run(DAG, found["dag_run_id"])
    report = people.report(api, store, run)
    moment = datetime.fromisoformat(found["logical_date"] or found["run_after"])
    return First(run, moment, report, people.stored(kubectl, report["batch_id"]))


@pytest.fixture(scope="module")
def catcher(kubectl: Kubectl, installed: Installed) -> Iterator[people.Catcher]:
    with people.catcher(kubectl) as found:
        yield found


@pytest.fixture(scope="module")
def after(api: Airflow, first: First) -> After:
    again = runs.Run(DAG, same_date(api, first.moment))
    missing = runs.Run(DAG, api.trigger(DAG, conf={"data": MISSING}))
    tasks = {"dag_run_id": first.run.run_id, "task_ids": ["dedup_people", "tell_success"]}
    options = {"dry_run": False, "only_failed": False, "reset_dag_runs": True}
    api.call("POST", f"dags/{DAG}/clearTaskInstances", json=tasks | options)
    return After(again, missing, runs.wait(api, [first.run, again, missing], seconds=people.RUN_SECONDS))


def same_date(api: Airflow, moment: datetime) -> str:
    """A new run of that date; one that an earlier call of these tests made is taken away, since a date has one run."""
    for one in api.runs(DAG, limit=50):
        if one["logical_date"] and datetime.fromisoformat(one["logical_date"]) == moment:
            api.call("DELETE", f"dags/{DAG}/dagRuns/{one['dag_run_id']}")
    return api.trigger(DAG, logical_date=moment)


def test_what_the_run_counts_is_what_the_database_holds(api: Airflow, first: First) -> None:
    told = api.xcom(DAG, first.run.run_id, "dedup_people")["metrics"]
    assert told["records"] == 1000
    assert {name: told[name] for name in people.DECISIONS} == first.stored.decisions
    assert sum(first.stored.decisions.values()) + told["rejected"] == told["records"]
    assert first.stored.people == told["inserted"] > 0
    assert told["match"] > 0, "a fifth of the records are copies"


def test_up_tells_the_counts_and_where_the_mail_is(first: First, installed: Installed) -> None:
    assert f"1,000 records: {first.report['counts']['new']:,} new" in installed.said
    assert "http://127.0.0.1:1080 while `.venv/bin/tidegate mail` runs" in installed.said


def test_one_mail_tells_of_the_batch(catcher: people.Catcher, first: First) -> None:
    (mail,) = catcher.under(first.message_id)
    assert [one["address"] for one in mail["to"]] == ["people@tidegate.invalid"]
    for part in ("text", "html"):
        assert f"{first.report['counts']['new']:,} new" in mail[part]
        assert "Best scores" in mail[part]


def test_cleared_tasks_and_a_second_run_of_the_date_are_about_the_same_batch(
    api: Airflow, store: petrol.S3, first: First, after: After
) -> None:
    assert after.ended[first.run] == after.ended[after.again] == "success"
    for run in (first.run, after.again):
        assert people.report(api, store, run)["batch_id"] == first.batch
        tries = {task["task_id"]: task["try_number"] for task in api.tasks(DAG, run.run_id)}
        assert (tries["dedup_people"] > 1) == (run == first.run)


def test_they_store_nobody_and_mail_nothing(
    kubectl: Kubectl, catcher: people.Catcher, first: First, after: After
) -> None:
    assert len(after.ended) == len({first.run, after.again, after.missing})
    assert people.stored(kubectl, first.batch) == first.stored
    assert len(catcher.under(first.message_id)) == 1


def test_a_run_that_fails_is_told_by_one_mail(api: Airflow, catcher: people.Catcher, after: After) -> None:
    assert after.ended[after.missing] == "failed"
    states = {task["task_id"]: task["state"] for task in api.tasks(DAG, after.missing.run_id)}
    assert states == {
        "make_people": "success",
        "dedup_people": "failed",
        "tell_success": "upstream_failed",
        "tell_failure": "success",
    }
    (mail,) = catcher.telling(after.missing.run_id)
    assert mail["messageId"].endswith(".failure@tidegate.invalid")
    assert catcher.under(mail["messageId"]) == [mail]
    sent = [api.xcom(DAG, run.run_id, "tell_failure") for run in after.ended]
    assert [one["metrics"]["sent"] for one in sent if one] == [1], "where nothing failed, the task is skipped"
