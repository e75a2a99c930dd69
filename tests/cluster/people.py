"""The people's database and the mail catcher of the cluster, from this machine."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from tests.cluster import petrol
from tidegate.cli import pages
from tidegate.cli.kubectl import NAMESPACE
from tidegate.cli.port_forward import Forward, forward

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl
    from tidegate.cli.runs import Run

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


def report(api: Airflow, store: petrol.S3, run: Run) -> dict[str, Any]:
    """What `dedup_people` published for a run."""
    outputs = {one["name"]: one["url"] for one in api.xcom(run.dag_id, run.run_id, "dedup_people")["outputs"]}
    found: dict[str, Any] = json.loads(petrol.body(store, petrol.key_of(outputs["report"])))
    return found


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
