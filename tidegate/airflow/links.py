"""Addresses in Airflow's UI: a task's log, and its tries on the ledger's page.

Pure but for Airflow's setting `api.base_url`, which says where people find the UI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from airflow.configuration import conf

if TYPE_CHECKING:
    from tidegate.airflow.identity import Identity

PAGE = "tidegate/ledger"
"""Where the ledger's page is mounted."""


def log_url(run: Identity) -> str:
    """The log of this very try."""
    mapped = f"/mapped/{run.map_index}" if run.map_index >= 0 else ""
    task = f"dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}/tasks/{run.task_id}{mapped}"
    return f"{_base()}/{task}?try_number={run.try_number}"


def tries_url(*, dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """What the ledger has of a task instance."""
    asked = {"pipeline": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
    return f"{_base()}/{PAGE}/task?{urlencode(asked)}"


def _base() -> str:
    return str(conf.get("api", "base_url", fallback="")).rstrip("/")
