"""The people's database and the mail catcher of the cluster, from this machine; and what is played on `people`.

After the run that `up` started come three more, at once: its matching and its mail cleared and run again, another run
of the same date, and one whose file is missing.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx

from tests.cluster import petrol
from tidegate.cli import pages, runs
from tidegate.cli.kubectl import NAMESPACE
from tidegate.cli.port_forward import Forward, forward

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

DAG = "people"
MISSING = "s3://tidegate/tests/people/nobody.parquet"
DECISIONS = ("new", "match", "review")
RUN_SECONDS = 300


@dataclass(frozen=True)
class Stored:
    """What the database holds of one batch."""

    decisions: dict[str, int]
    """How many records were new, matched or held for review."""
    people: int
    """Who was stored out of it."""


def stored(kubectl: Kubectl, batch: str) -> Stored:
    """One batch, asked of the server itself."""
    decisions = " union all ".join(
        f"select '{one}' as name, count(*) as n from people.match_result where batch_id = '{batch}'"
        f" and decision = '{one}'"
        for one in DECISIONS
    )
    counted = asked(kubectl, f"select json_object_agg(name, n) from ({decisions}) as counted")
    people = asked(kubectl, f"select count(*) from people.person where source_batch = '{batch}'")
    return Stored(counted, people)


def asked(kubectl: Kubectl, query: str) -> Any:
    """The one value that a query gives, as the administrator."""
    psql = ("psql", "--username=postgres", "--dbname=people", "--no-psqlrc", "--tuples-only", "--no-align")
    words = ("--set=ON_ERROR_STOP=1", "--command", query)
    where = ("--namespace", NAMESPACE, "people-postgresql-0", "--container", "people-postgresql")
    return json.loads(kubectl.text("exec", *where, "--", *psql, *words))


def report(api: Airflow, store: petrol.S3, run: runs.Run) -> dict[str, Any]:
    """What `dedup_people` published for a run."""
    outputs = {one["name"]: one["url"] for one in api.xcom(run.dag_id, run.run_id, "dedup_people")["outputs"]}
    found: dict[str, Any] = json.loads(petrol.body(store, petrol.key_of(outputs["report"])))
    return found


@dataclass(frozen=True)
class Played:
    """The run that `up` started, what it had left, and the three that came after it."""

    first: runs.Run
    told: dict[str, Any]
    """The metrics of its `dedup_people`."""
    report: dict[str, Any]
    stored: Stored
    again: runs.Run
    missing: runs.Run
    ended: dict[runs.Run, str]

    @property
    def message_id(self) -> str:
        """Of the mail about the batch."""
        return f"{self.report['batch_id']}.success@tidegate.invalid"


def play(kubectl: Kubectl, api: Airflow, store: petrol.S3) -> Played:
    """Look at the first run, then start the others and see them end."""
    found = next(one for one in api.runs(DAG, limit=50) if one["dag_run_id"].startswith("up__"))
    first = runs.Run(DAG, found["dag_run_id"])
    left = report(api, store, first)
    before = stored(kubectl, left["batch_id"])
    told = api.xcom(DAG, first.run_id, "dedup_people")["metrics"]
    again = runs.Run(DAG, _same_date(api, datetime.fromisoformat(found["logical_date"] or found["run_after"])))
    missing = runs.Run(DAG, api.trigger(DAG, conf={"data": MISSING}))
    _clear(api, first)
    ended = runs.wait(api, [first, again, missing], seconds=RUN_SECONDS)
    return Played(first, told, left, before, again, missing, ended)


def _clear(api: Airflow, run: runs.Run) -> None:
    """Matching and mail of a run, once more."""
    tasks = {"dag_run_id": run.run_id, "task_ids": ["dedup_people", "tell_success"]}
    options = {"dry_run": False, "only_failed": False, "reset_dag_runs": True}
    api.call("POST", f"dags/{DAG}/clearTaskInstances", json=tasks | options)


def _same_date(api: Airflow, moment: datetime) -> str:
    """A new run of that date; one that an earlier call of these tests made is taken away, since a date has one run."""
    for one in api.runs(DAG, limit=50):
        if one["logical_date"] and datetime.fromisoformat(one["logical_date"]) == moment:
            api.call("DELETE", f"dags/{DAG}/dagRuns/{one['dag_run_id']}")
    return api.trigger(DAG, logical_date=moment)


@dataclass(frozen=True)
class Catcher:
    """The mail that came."""

    way: Forward

    def under(self, message_id: str) -> list[dict[str, Any]]:
        """Every mail with that Message-ID."""
        return [one for one in self._all() if one["messageId"] == message_id]

    def telling(self, words: str) -> list[dict[str, Any]]:
        """Every mail with these words in its text part."""
        return [one for one in self._all() if words in one["text"]]

    def _all(self) -> list[dict[str, Any]]:
        self.way.ensure()
        found: list[dict[str, Any]] = httpx.get(f"http://{self.way.address}/email", timeout=30, trust_env=False).json()
        return found


@contextmanager
def catcher(kubectl: Kubectl) -> Iterator[Catcher]:
    """While the block runs."""
    with forward(kubectl, *pages.MAIL) as way:
        yield Catcher(way)
