"""Where the links of a step's task lead: to its tries on the page, and to its pod in a dashboard of people's own.

Reads: the ledger, for the pod; Airflow's settings `api.base_url`, where the UI is, and `tidegate.pod_url`, an address
with {namespace} and {pod}. A try that ran no pod of its own has none; a ledger that is away costs the link, not the UI.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from airflow.configuration import conf

from tidegate.ledger import LedgerError, Task
from tidegate.ledger.report import use_of
from tidegate.page import PREFIX

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


def steps_namespace() -> str:
    """Where pods are, as the chart tells every component of Airflow."""
    return os.environ.get("TIDEGATE_STEPS_NAMESPACE", "tidegate-steps")


def tries_url(ti_key: TaskInstanceKey) -> str:
    """What the ledger has of a task instance."""
    mine = {name: getattr(ti_key, name) for name in ("run_id", "task_id", "map_index")}
    base = str(conf.get("api", "base_url", fallback="")).rstrip("/")
    return f"{base}{PREFIX}/task?{urlencode({'pipeline': ti_key.dag_id, **mine})}"


def pod_url(ti_key: TaskInstanceKey) -> str:
    """The pod of a try, or "" where there is none or no dashboard."""
    address = conf.get("tidegate", "pod_url", fallback="")
    pod = _pod(ti_key) if address else ""
    return address.replace("{namespace}", steps_namespace()).replace("{pod}", pod) if pod else ""


def _pod(ti_key: TaskInstanceKey) -> str:
    from tidegate.page.app import ledger  # noqa: PLC0415 - the page itself imports this module

    mine = {name: getattr(ti_key, name) for name in ("run_id", "task_id", "map_index", "try_number")}
    with suppress(LedgerError):
        use = ledger().do(use_of(Task(pipeline=ti_key.dag_id, **mine)))
        return use.row.pod if use is not None and use.verdict == "run" else ""
    return ""
