"""Where a try's log can be read: its address in Airflow's UI.

Reads: Airflow's setting `api.base_url`, where the UI is; without it the address is one below the UI's own host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.configuration import conf

if TYPE_CHECKING:
    from tidegate.airflow.identity import Identity


def log_url(run: Identity) -> str:
    """The log of this very try."""
    base = str(conf.get("api", "base_url", fallback="")).rstrip("/")
    mapped = f"/mapped/{run.map_index}" if run.map_index >= 0 else ""
    task = f"dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}/tasks/{run.task_id}{mapped}"
    return f"{base}/{task}?try_number={run.try_number}"
