"""Addresses for people: a try's log, its task on the ledger's page, and its pod in a dashboard of theirs.

Reads: Airflow's settings `api.base_url`, where the UI is, and `tidegate.pod_url`, an address with {namespace} and {pod}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from airflow.configuration import conf

from tidegate.airflow.spec import steps_namespace
from tidegate.page.plugin import PREFIX

if TYPE_CHECKING:
    from tidegate.airflow.identity import Identity


def log_url(run: Identity) -> str:
    """The log of this very try."""
    mapped = f"/mapped/{run.map_index}" if run.map_index >= 0 else ""
    task = f"dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}/tasks/{run.task_id}{mapped}"
    return f"{_base()}/{task}?try_number={run.try_number}"


def tries_url(*, dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """What the ledger has of a task instance."""
    asked = {"pipeline": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
    return f"{_base()}{PREFIX}/task?{urlencode(asked)}"


def pod_url(pod: str) -> str:
    """A pod in the dashboard that the setting names; "" without one."""
    wanted = conf.get("tidegate", "pod_url", fallback="")
    return wanted.replace("{namespace}", steps_namespace()).replace("{pod}", pod) if pod else ""


def _base() -> str:
    return str(conf.get("api", "base_url", fallback="")).rstrip("/")
