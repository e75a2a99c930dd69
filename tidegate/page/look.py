"""What each page shows: questions to the ledger, within the pipelines that somebody may read.

Nothing of another pipeline is shown: neither its rows nor that they exist. Each function is one page's data.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tidegate.ledger import admission, report, rows
from tidegate.ledger.errors import NoSuchRow
from tidegate.ledger.explain import nearest
from tidegate.ledger.model import State
from tidegate.page.plot import plots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegate.ledger import Ledger

NEWEST = 100
"""Tries and rows on one page."""

RUNS = 200
"""Runs in a plot."""

SAVED = timedelta(days=30)
"""The time that savings are counted over."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What somebody chose; empty is everything."""

    pipeline: str = ""
    step: str = ""
    task_id: str = ""
    verdict: str = ""

    def within(self, readable: frozenset[str]) -> dict[str, Any]:
        """As filters of a query, never outside of what may be read."""
        chosen = {name: value for name, value in vars(self).items() if value}
        mine = readable & {self.pipeline} if self.pipeline else readable
        return chosen | {"pipeline": mine}


def tries(ledger: Ledger, filters: Filters, readable: frozenset[str]) -> Mapping[str, Any]:
    """The first page: the newest tries and what each got, the queue, and what hits saved."""
    within = filters.within(readable)
    return {
        "filters": filters,
        "uses": ledger.do(report.uses(within, limit=NEWEST)),
        "saved": ledger.do(report.saved(within, since=SAVED)),
        "queue": [ticket for ticket in ledger.do(admission.queue()) if ticket.task.pipeline in within["pipeline"]],
        **_choices(ledger, {"pipeline": readable}, "pipeline", "step"),
    }


def step(ledger: Ledger, name: str, filters: Filters, readable: frozenset[str]) -> Mapping[str, Any]:
    """A step's page: its metrics over its newest successful runs."""
    within = filters.within(readable) | {"step": name, "state": State.SUCCEEDED}
    within.pop("verdict", None)
    found = ledger.do(lambda tx: rows.matching(tx, within, limit=RUNS))
    choices = _choices(ledger, {"pipeline": readable, "step": name}, "pipeline", "task_id")
    return {"name": name, "filters": filters, "rows": found, "plots": plots(found), **choices}


def row(ledger: Ledger, number: int, readable: frozenset[str]) -> Mapping[str, Any]:
    """One row's page: all of it, why it ran, and who used it. Raises NoSuchRow for one that may not be read."""
    found = ledger.do(lambda tx: rows.by_id(tx, number))
    if found.pipeline not in readable:
        raise NoSuchRow(f"the ledger has no row {number}")
    before = ledger.do(lambda tx: rows.before(tx, found.step, below=number))
    near, changes = nearest(found.parts, [one for one in before if one.pipeline in readable])
    users = ledger.do(report.uses({"row_id": number, "pipeline": readable}, limit=NEWEST))
    return {"row": found, "near": near, "changes": changes, "uses": users}


def task(
    ledger: Ledger, *, pipeline: str, run_id: str, task_id: str, map_index: int, readable: frozenset[str]
) -> Mapping[str, Any]:
    """A task instance's page: what each of its tries got, the newest first."""
    mine = {"pipeline": readable & {pipeline}, "run_id": run_id, "task_id": task_id, "map_index": map_index}
    asked = {"pipeline": pipeline, "run_id": run_id, "task_id": task_id, "map_index": map_index}
    return {"asked": asked, "uses": ledger.do(report.uses(mine, limit=NEWEST))}


def _choices(ledger: Ledger, within: Mapping[str, Any], *columns: str) -> dict[str, Any]:
    """What there is to choose from, by `<column>s`."""
    return {f"{column}s": ledger.do(report.names(column, within)) for column in columns}
