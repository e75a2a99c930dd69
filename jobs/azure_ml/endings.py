"""How a job ended: only Completed is success, and what it says of itself is passed on."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError

from jobs.azure_ml.states import CANCELED, COMPLETED, word
from tidegate.step import BadInput, StepError

if TYPE_CHECKING:
    from azure.ai.ml.entities import Job

    from jobs.azure_ml.connection import Workspace
    from jobs.azure_ml.jobs import Found

MOST = 1500
"""Characters of a job's own words."""

MOST_OUTPUTS = 20
"""Outputs that are named in a result, which is small."""


def judge(space: Workspace, job: Job) -> None:
    """Raise unless the job completed.

    Raises:
        BadInput: It was cancelled: somebody stopped it, so nothing is submitted again by itself.
        StepError: It failed, does not respond, or is paused.
    """
    state = word(job.status)
    if state == COMPLETED:
        return
    said = f"job {job.name} is {state}: {reason(space, job)}\n{job.studio_url or ''}".strip()
    raise (BadInput if state == CANCELED else StepError)(said)


def reason(space: Workspace, job: Job) -> str:
    """Why it ended so, as far as Azure tells."""
    details = _details(space, job)
    error = getattr(getattr(details, "error", None), "error", None)
    words = [getattr(error, "code", None), getattr(error, "message", None)]
    words += [one.message for one in getattr(details, "warnings", None) or []]
    return ": ".join(str(word) for word in words if word)[:MOST] or "Azure gives no reason; see its page"


def outcome(space: Workspace, found: Found) -> dict[str, Any]:
    """What a later task needs of the job."""
    job, details = found.job, _details(space, found.job)
    best = (getattr(details, "properties", None) or {}).get("best_child_run_id")
    best = best or (job.properties or {}).get("best_child_run_id")
    value = {
        "name": job.name,
        "id": job.id,
        "status": word(job.status),
        "studio_url": job.studio_url,
        "experiment": getattr(job, "experiment_name", None),
        "attempt": found.attempt,
        "submitted": found.submitted,
        "started": _moment(details, "start_time_utc"),
        "ended": _moment(details, "end_time_utc"),
        "outputs": _outputs(job),
    }
    return value | ({"best_child_run_id": best} if best else {})


def _outputs(job: Job) -> dict[str, str]:
    outputs = getattr(job, "outputs", None) or {}
    named = {str(name): getattr(output, "path", None) for name, output in list(outputs.items())[:MOST_OUTPUTS]}
    return {name: str(path) for name, path in named.items() if path}


def _moment(details: object, name: str) -> str | None:
    moment = getattr(details, name, None)
    return moment.isoformat() if isinstance(moment, datetime) else None


def _details(space: Workspace, job: Job) -> Any:  # noqa: ANN401 - the SDK's run details, or None
    """The run history's account of it, which has more to say than the job; never what a decision hangs on."""
    runs = space.client.jobs._runs_operations  # noqa: SLF001 - there is no public way to a job's error
    try:
        return runs.get_run_details(str(job.name))
    except AzureError:
        return None
