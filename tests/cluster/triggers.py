"""Runs of petrol that are started in every way there is: by the schedule, REST, both command lines and the form.

Reads: `dags/petrol.py`, Airflow. Writes: runs. Again: other logical dates.
"""

from __future__ import annotations

import re
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx

from tests.cluster import petrol
from tests.cluster.commands import tidegate
from tidegate.cli import runs, step_pods
from tidegate.cli.airflow_api import PORT, SERVICE
from tidegate.cli.kubectl import NAMESPACE, STEPS_NAMESPACE
from tidegate.cli.port_forward import forward
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    import subprocess

    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl
    from tidegate.cli.port_forward import Forward

QUICK = {"n_estimators": 5}
SCHEDULED_SECONDS = 400
YEAR = 365 * 24 * 3600
"""Airflow refuses a second run of the same logical date, in whole seconds: another call of a test needs another one."""
FILE = "petrol.py"
OFTEN = {'schedule="@hourly"': 'schedule="* * * * *"', "max_active_runs=1": "max_active_runs=8"}
"""The next hour is too far away to wait for, and so is a line of runs of which one goes at a time."""


def often() -> str:
    """The file of petrol with a run every minute, and several at once."""
    text = (ROOT / "dags" / FILE).read_text()
    for old, new in OFTEN.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def by_the_schedule(api: Airflow) -> str:
    """A run that the schedule has begun."""
    begun, found = datetime.now(UTC), []

    def scheduled() -> bool:
        known = [one for one in api.runs("petrol", limit=50) if one["run_type"] == "scheduled"]
        found[:] = [one for one in known if petrol.hour_of(one) > begun - timedelta(minutes=2)]
        return bool(found)

    state = lambda: str(api.dag("petrol"))  # noqa: E731 - said only when the time is over
    runs.until(scheduled, seconds=SCHEDULED_SECONDS, what="a scheduled run of petrol", state=state, every=4)
    return str(found[-1]["dag_run_id"])


def by_rest(api: Airflow) -> tuple[str, datetime]:
    date = datetime.fromisoformat("2026-01-31T01:30:00+02:00").replace(microsecond=datetime.now(UTC).microsecond)
    return api.trigger("petrol", conf=QUICK, logical_date=date), date


@dataclass(frozen=True)
class Forced:
    """A run from our command line whose steps ran whatever the ledger knew."""

    before: datetime
    done: subprocess.CompletedProcess[str]
    printed: dict[str, list[str]]
    """Task -> the lines of its one pod."""

    @property
    def run_id(self) -> str:
        assert self.done.returncode == 0, self.done.stderr
        return self.done.stdout.split()[0]


def by_our_command_line(kubectl: Kubectl) -> Forced:
    before = datetime.now(UTC)
    conf = '{"n_estimators": 6, "force": true}'
    done = tidegate("trigger", "petrol", "--conf", conf, "--wait", seconds=petrol.RUN_SECONDS)
    tasks = ("train_model", "upload_model") if done.returncode == 0 else ()
    return Forced(before, done, {task: _printed(kubectl, done.stdout.split()[0], task) for task in tasks})


def _printed(kubectl: Kubectl, run_id: str, task: str) -> list[str]:
    (pod,) = step_pods.of_steps(kubectl, dag="petrol", run=run_id, task=task)
    return kubectl.text("logs", "--namespace", STEPS_NAMESPACE, pod["metadata"]["name"]).splitlines()


def by_airflows_command_line(kubectl: Kubectl) -> tuple[str, datetime]:
    date = datetime(2023, 1, 1, tzinfo=UTC) + timedelta(seconds=time.time() % YEAR)
    run_id = f"by-airflow-{date:%Y%m%dT%H%M%S}"
    pod = kubectl.items("pods", "--selector", "component in (scheduler, standalone)")[0]["metadata"]["name"]
    command = ("airflow", "dags", "trigger", "petrol", "--run-id", run_id, "--logical-date", date.isoformat())
    kubectl.text("exec", "--namespace", NAMESPACE, pod, "--container", "scheduler", "--", *command, timeout=180)
    return run_id, date


def signed_in_browser(api: Airflow, way: Forward) -> httpx.Client:
    """A session as a browser gets it from the sign-in page: a cookie, no token in a header."""
    browser = httpx.Client(base_url=f"http://{way.address}", follow_redirects=True, timeout=180, trust_env=False)
    page = browser.get("/auth/login/").text
    csrf = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert csrf, page[:2000]
    account = {"username": api.user, "password": api.password, "csrf_token": csrf[1]}
    browser.post("/auth/login/", data=account).raise_for_status()
    assert "_token" in browser.cookies
    return browser


def by_the_form(kubectl: Kubectl, api: Airflow) -> str:
    with forward(kubectl, SERVICE, PORT) as way, closing(signed_in_browser(api, way)) as browser:
        params = browser.get("/api/v2/dags/petrol/details").raise_for_status().json()["params"]
        assert {"n_estimators", "test_size", "random_state", "target"} <= set(params)
        assert params["n_estimators"]["schema"]["minimum"] == 1
        filled = {name: param["value"] for name, param in params.items()} | {"n_estimators": 7}
        body = {"conf": filled, "dag_run_id": None, "logical_date": None, "note": "from the form"}
        answer = browser.post("/api/v2/dags/petrol/dagRuns", json=body).raise_for_status().json()
    return str(answer["dag_run_id"])
