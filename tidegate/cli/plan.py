"""`tidegate plan`: what a run of a pipeline would do now, told by the triggerer itself.

Reads: a pod of the triggerer, where `python -m tidegate.airflow.plan` runs, for only there all it reads can be reached:
the DAG, the ledger, and the store with an account that may read. Writes: nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tidegate.cli import table
from tidegate.cli.fault import Fault
from tidegate.cli.kubectl import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from tidegate.cli.kubectl import Kubectl

SELECTOR = "tier=airflow,component in (triggerer,standalone)"
CONTAINER = "triggerer"
SECONDS = 180
"""Airflow alone takes some to be imported, on a node that is busy."""


def plan(kubectl: Kubectl, dag: str, *, conf: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One object a step: task_id, step, action, reason, minutes (expected, or None), row.

    Raises:
        Fault: No triggerer runs, or it cannot tell; the text says what to change.
    """
    pods = kubectl.items("pods", "--selector", SELECTOR)
    running = [pod["metadata"]["name"] for pod in pods if pod["status"].get("phase") == "Running"]
    if not running:
        msg = "no triggerer runs; `tidegate status` shows what is not ready"
        raise Fault(msg)
    command = ["python", "-m", "tidegate.airflow.plan", dag, "--conf", json.dumps(dict(conf))]
    where = ["exec", running[0], "--namespace", NAMESPACE, "--container", CONTAINER, "--"]
    return lines_of(kubectl.text(*where, *command, timeout=SECONDS))


def lines_of(said: str) -> list[dict[str, Any]]:
    """The plan in what was printed, below whatever Airflow says of itself. Raises Fault for a fault."""
    for line in reversed(said.splitlines()):
        if line.startswith("PLAN "):
            found: list[dict[str, Any]] = json.loads(line.removeprefix("PLAN "))
            return found
        if line.startswith("FAULT "):
            raise Fault(line.removeprefix("FAULT "))
    msg = f"the triggerer told no plan: {said.strip()[-500:]}"
    raise Fault(msg)


def shown(lines: list[dict[str, Any]]) -> Table:
    """A table for people."""
    rows = [(one["task_id"], one["step"], one["action"], minutes(one["minutes"]), one["reason"]) for one in lines]
    return table.rows("Plan", ("task", "step", "does", "minutes", "why"), rows)


def minutes(value: float | None) -> str:
    """Expected minutes; `?` where the step never ran."""
    return "?" if value is None else f"{value:g}"
