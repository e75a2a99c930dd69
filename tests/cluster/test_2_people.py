"""What a run says of its people is what the database holds, each is stored once, and one mail tells of each batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster import people, petrol
from tests.cluster.people import DAG, Played

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.acts import Acts
    from tests.cluster.conftest import Installed
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl


@pytest.fixture(scope="module")
def played(acts: Acts) -> Played:
    return acts.people.result()


@pytest.fixture(scope="module")
def catcher(kubectl: Kubectl, installed: Installed) -> Iterator[people.Catcher]:
    with people.catcher(kubectl) as found:
        yield found


def test_what_the_run_counts_is_what_the_database_holds(played: Played) -> None:
    told = played.told
    assert told["records"] == 1000
    assert {name: told[name] for name in people.DECISIONS} == played.stored.decisions
    assert sum(played.stored.decisions.values()) + told["rejected"] == told["records"]
    assert played.stored.people == told["inserted"] > 0
    assert told["match"] > 0, "a fifth of the records are copies"


def test_up_tells_the_counts_and_where_the_mail_is(played: Played, installed: Installed) -> None:
    assert f"1,000 records: {played.report['counts']['new']:,} new" in installed.said
    assert "http://127.0.0.1:1080 while `.venv/bin/tidegate mail` runs" in installed.said


def test_one_mail_tells_of_the_batch(catcher: people.Catcher, played: Played) -> None:
    (mail,) = catcher.under(played.message_id)
    assert [one["address"] for one in mail["to"]] == ["people@tidegate.invalid"]
    for part in ("text", "html"):
        assert f"{played.report['counts']['new']:,} new" in mail[part]
        assert "Best scores" in mail[part]


def test_cleared_tasks_and_a_second_run_of_the_date_are_about_the_same_batch(
    api: Airflow, store: petrol.S3, played: Played
) -> None:
    assert played.ended[played.first] == played.ended[played.again] == "success"
    for run in (played.first, played.again):
        assert people.report(api, store, run)["batch_id"] == played.report["batch_id"]
        tries = {task["task_id"]: task["try_number"] for task in api.tasks(DAG, run.run_id)}
        assert (tries["dedup_people"] > 1) == (run == played.first)


def test_they_store_nobody_and_mail_nothing(kubectl: Kubectl, catcher: people.Catcher, played: Played) -> None:
    assert people.stored(kubectl, played.report["batch_id"]) == played.stored
    assert len(catcher.under(played.message_id)) == 1


def test_a_run_that_fails_is_told_by_one_mail(api: Airflow, catcher: people.Catcher, played: Played) -> None:
    assert played.ended[played.missing] == "failed"
    states = {task["task_id"]: task["state"] for task in api.tasks(DAG, played.missing.run_id)}
    assert states == {
        "make_people": "success",
        "dedup_people": "failed",
        "tell_success": "upstream_failed",
        "tell_failure": "success",
    }
    (mail,) = catcher.telling(played.missing.run_id)
    assert mail["messageId"].endswith(".failure@tidegate.invalid")
    assert catcher.under(mail["messageId"]) == [mail]
    sent = [api.xcom(DAG, run.run_id, "tell_failure") for run in played.ended]
    assert [one["metrics"]["sent"] for one in sent if one] == [1], "where nothing failed, the task is skipped"
