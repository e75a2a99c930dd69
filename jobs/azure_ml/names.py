"""What a run's job is called: the same for the same run, so that two executions make one job. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.step import Run

READABLE = 40
"""Characters of the task's name that are kept."""

RUN_TAG, DEFINITION_TAG = "tidegate_run", "tidegate_definition"
"""Tags of a job or an asset: the run it belongs to, and a digest of what it was made from."""


def mark(run: Run, *, again: bool = False) -> str:
    """16 hex of the task instance; of this very try where jobs of earlier ones shall not count (`again`)."""
    key: list[object] = [run.dag_id, run.run_id, run.task_id, run.map_index]
    text = json.dumps(key + [run.try_number] * again)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def job_name(run: Run, *, attempt: int = 1, again: bool = False) -> str:
    """Letters, digits and `-`; attempts after the first are numbered."""
    task = re.sub(r"[^a-z0-9]+", "-", run.task_id.lower()).strip("-")[:READABLE].strip("-") or "job"
    return f"{task}-{mark(run, again=again)}" + (f"-{attempt}" if attempt > 1 else "")
