"""Where a try's pod can be looked at: asked of the ledger when somebody opens the task instance.

Reads: the ledger. A try that ran no pod of its own has none; a ledger that is away costs the link, not the page.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tidegate.airflow.links import pod_url
from tidegate.ledger import LedgerError, Task
from tidegate.ledger.report import use_of
from tidegate.page.app import ledger

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


def pod_of(ti_key: TaskInstanceKey) -> str:
    """Its address, or "" where there is none."""
    if not pod_url("any"):
        return ""
    task = Task(
        pipeline=ti_key.dag_id,
        run_id=ti_key.run_id,
        task_id=ti_key.task_id,
        map_index=ti_key.map_index,
        try_number=ti_key.try_number,
    )
    with suppress(LedgerError):
        use = ledger().do(use_of(task))
        return pod_url(use.row.pod) if use is not None and use.verdict == "run" else ""
    return ""
