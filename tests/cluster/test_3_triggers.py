"""Whoever starts a run, its model lies under the right hour in UTC, also where the run has no logical date."""

from __future__ import annotations

import re
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.cluster import petrol
from tests.cluster.commands import tidegate
from tests.cluster.pushed import pushed
from tidegate.cli import runs
from tidegate.cli.fault import Fault
from tidegate.cli.kubectl import NAMESPACE
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

QUICK = {"n_estimators": 5}
SCHEDULED_SECONDS = 240
Begun = dict[str, Future[Any]]
HOURLY = 'schedule="@hourly"'
YEAR = 365 * 24 * 3600
"""Airflow refuses a second run of the same logical date, in whole seconds: another call of a test needs another one."""


@pytest.fixture(scope="module")
def begun(api: Airflow, kubectl: Kubectl) -> Iterator[Begun]:
    """Runs that are started side by side, each in another way; petrol runs one at a time, they wait in line."""
    with ThreadPoolExecutor() as pool:
        ours = pool.submit(by_our_command_line)
        airflows = pool.submit(by_airflows_command_line, kubectl)
        yield {
            "rest": pool.submit(by_rest, api),
            "form": pool.submit(by_the_form, api),
            "our command line": ours,
            "Airflow's command line": airflows,
        }


def assert_published_under(api: Airflow, run: dict[str, Any], hour: datetime) -> None:
    assert petrol.folder_of(api, run["dag_run_id"]) == f"models/petrol/{hour.astimezone(UTC):%Y/%m/%d/%H}"


def test_the_schedule_publishes_under_the_hour_of_its_logical_date(api: Airflow, kubectl: Kubectl) -> None:
    """With a schedule of every minute: the next hour is too far away to wait for."""
    hourly = (ROOT / "dags" / "petrol.py").read_text()
    assert hourly.count(HOURLY) == 1
    begun, found = datetime.now(UTC), []

    def scheduled() -> bool:
        known = [one for one in api.runs("petrol", limit=50) if one["run_type"] == "scheduled"]
        found[:] = [one for one in known if petrol.hour_of(one) > begun - timedelta(minutes=2)]
        return bool(found)

    with pushed(kubectl, "petrol.py", hourly.replace(HOURLY, 'schedule="* * * * *"')):
        runs.until(
            scheduled, seconds=SCHEDULED_SECONDS, what="a scheduled run of petrol", state=lambda: str(api.dag("petrol"))
        )
    runs.wait_visible(api, "petrol", source=hourly)
    run = petrol.finished(api, found[-1]["dag_run_id"])
    date = datetime.fromisoformat(run["logical_date"])
    assert date.second == 0
    assert_published_under(api, run, date)


def by_rest(api: Airflow) -> tuple[str, datetime]:
    date = datetime.fromisoformat("2026-01-31T01:30:00+02:00").replace(microsecond=datetime.now(UTC).microsecond)
    return api.trigger("petrol", conf=QUICK, logical_date=date), date


def test_rest_with_a_logical_date_of_another_zone_publishes_under_utc(api: Airflow, begun: Begun) -> None:
    run_id, date = begun["rest"].result()
    assert_published_under(api, petrol.finished(api, run_id), date)


def by_our_command_line() -> tuple[datetime, subprocess.CompletedProcess[str]]:
    before = datetime.now(UTC)
    return before, tidegate("trigger", "petrol", "--conf", '{"n_estimators": 6}', "--wait", seconds=petrol.RUN_SECONDS)


def test_our_command_line_without_a_logical_date_publishes_under_the_present_hour(api: Airflow, begun: Begun) -> None:
    before, done = begun["our command line"].result()
    assert done.returncode == 0, done.stderr
    run = api.run("petrol", done.stdout.split()[0])
    assert run
    assert run["logical_date"] is None
    assert run["conf"] == {"n_estimators": 6}
    assert before <= petrol.hour_of(run) <= datetime.now(UTC)
    assert_published_under(api, run, petrol.hour_of(run))


def by_airflows_command_line(kubectl: Kubectl) -> tuple[str, datetime]:
    date = datetime(2023, 1, 1, tzinfo=UTC) + timedelta(seconds=time.time() % YEAR)
    run_id = f"by-airflow-{date:%Y%m%dT%H%M%S}"
    pod = kubectl.items("pods", "--selector", "component in (scheduler, standalone)")[0]["metadata"]["name"]
    command = ("airflow", "dags", "trigger", "petrol", "--run-id", run_id, "--logical-date", date.isoformat())
    kubectl.text("exec", "--namespace", NAMESPACE, pod, "--container", "scheduler", "--", *command, timeout=180)
    return run_id, date


def test_airflows_command_line_with_a_logical_date_publishes_under_it(api: Airflow, begun: Begun) -> None:
    run_id, date = begun["Airflow's command line"].result()
    assert_published_under(api, petrol.finished(api, run_id), date)


def signed_in_browser(api: Airflow) -> httpx.Client:
    """A session as a browser gets it from the sign-in page: a cookie, no token in a header."""
    api.way.ensure()
    browser = httpx.Client(base_url=f"http://{api.way.address}", follow_redirects=True, timeout=60, trust_env=False)
    page = browser.get("/auth/login/").text
    csrf = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert csrf, page[:2000]
    account = {"username": api.user, "password": api.password, "csrf_token": csrf[1]}
    browser.post("/auth/login/", data=account).raise_for_status()
    assert "_token" in browser.cookies
    return browser


def by_the_form(api: Airflow) -> str:
    with closing(signed_in_browser(api)) as browser:
        params = browser.get("/api/v2/dags/petrol/details").raise_for_status().json()["params"]
        assert {"n_estimators", "test_size", "random_state", "target"} <= set(params)
        assert params["n_estimators"]["schema"]["minimum"] == 1
        filled = {name: param["value"] for name, param in params.items()} | {"n_estimators": 7}
        body = {"conf": filled, "dag_run_id": None, "logical_date": None, "note": "from the form"}
        answer = browser.post("/api/v2/dags/petrol/dagRuns", json=body).raise_for_status().json()
    return str(answer["dag_run_id"])


def test_the_form_without_a_logical_date_publishes_under_the_hour_of_the_click(api: Airflow, begun: Begun) -> None:
    run = petrol.finished(api, begun["form"].result())
    assert run["logical_date"] is None
    assert run["note"] == "from the form"
    assert_published_under(api, run, petrol.hour_of(run))


@pytest.mark.parametrize(
    "conf", [{"n_estimators": 0}, {"test_size": 1}, {"test_size": 0}, {"target": ""}, {"random_state": "x"}], ids=str
)
def test_parameters_that_cannot_work_are_refused_before_a_run_exists(api: Airflow, conf: dict[str, Any]) -> None:
    before = {one["dag_run_id"] for one in api.runs("petrol", limit=50)}
    with pytest.raises(Fault, match=next(iter(conf))):
        api.trigger("petrol", conf=conf)
    assert {one["dag_run_id"] for one in api.runs("petrol", limit=50)} - before == set()
