"""Whoever starts a run, its model lies under the right hour in UTC, also where the run has no logical date."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import petrol
from tidegate.cli.fault import Fault

if TYPE_CHECKING:
    from tests.cluster.acts import Acts
    from tidegate.cli.airflow_api import Airflow


def assert_published_under(api: Airflow, run: dict[str, Any], hour: datetime) -> None:
    assert petrol.folder_of(api, run["dag_run_id"]) == f"models/petrol/{hour.astimezone(UTC):%Y/%m/%d/%H}"


def test_the_schedule_publishes_under_the_hour_of_its_logical_date(api: Airflow, acts: Acts) -> None:
    run = petrol.finished(api, acts.scheduled.result())
    date = datetime.fromisoformat(run["logical_date"])
    assert date.second == 0
    assert_published_under(api, run, date)


def test_rest_with_a_logical_date_of_another_zone_publishes_under_utc(api: Airflow, acts: Acts) -> None:
    run_id, date = acts.rest.result()
    assert_published_under(api, petrol.finished(api, run_id), date)


def test_our_command_line_without_a_logical_date_publishes_under_the_present_hour(api: Airflow, acts: Acts) -> None:
    forced = acts.forced.result()
    run = api.run("petrol", forced.run_id)
    assert run
    assert run["logical_date"] is None
    assert run["conf"] == {"n_estimators": 6, "force": True}
    assert forced.before <= petrol.hour_of(run) <= datetime.now(UTC)
    assert_published_under(api, run, petrol.hour_of(run))


def test_airflows_command_line_with_a_logical_date_publishes_under_it(api: Airflow, acts: Acts) -> None:
    run_id, date = acts.airflows.result()
    assert_published_under(api, petrol.finished(api, run_id), date)


def test_the_form_without_a_logical_date_publishes_under_the_hour_of_the_click(api: Airflow, acts: Acts) -> None:
    run = petrol.finished(api, acts.form.result())
    assert run["logical_date"] is None
    assert run["note"] == "from the form"
    assert_published_under(api, run, petrol.hour_of(run))


@pytest.mark.parametrize(
    "conf", [{"n_estimators": 0}, {"test_size": 1}, {"test_size": 0}, {"target": ""}, {"random_state": "x"}], ids=str
)
def test_parameters_that_cannot_work_are_refused_before_a_run_exists(api: Airflow, conf: dict[str, Any]) -> None:
    with pytest.raises(Fault, match=next(iter(conf))):
        api.trigger("petrol", conf=conf)
    assert [one for one in api.runs("petrol", limit=100) if one["conf"] == conf] == []
