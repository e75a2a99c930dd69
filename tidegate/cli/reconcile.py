"""`tidegate reconcile`: what the release's CronJob does every few minutes, done now.

Reads: the CronJob. Writes: a Job made from it, which is removed again; what the Job removes is its own matter. It runs
in the cluster because only there can Airflow's database be reached.
"""

from __future__ import annotations

import copy
import json
import time
from typing import TYPE_CHECKING, Any

from tidegate.cli.fault import Fault
from tidegate.cli.kubectl import NAMESPACE

if TYPE_CHECKING:
    from tidegate.cli.kubectl import Kubectl

CRON_JOB = "tidegate-reconcile"
SECONDS = 180
EVERY = 1.0


def reconcile(kubectl: Kubectl, *, dry_run: bool, minutes: int | None = None) -> str:
    """Return what it printed: one line for each pod that was, or with `dry_run` would be, deleted.

    Args:
        kubectl: The cluster.
        dry_run: Only say it.
        minutes: For how long after its end each finished pod is kept; None as the CronJob says.

    Raises:
        Fault: It failed, or took longer than three minutes; with the end of its log.
    """
    job = job_of(kubectl.read("cronjob", CRON_JOB), dry_run=dry_run, minutes=minutes)
    made = json.loads(kubectl.text("create", "--filename", "-", "-o", "json", stdin=json.dumps(job)))
    name = made["metadata"]["name"]
    try:
        ended = _end(kubectl, name)
        said = kubectl.text("logs", f"job/{name}", "--namespace", NAMESPACE) if ended else ""
    finally:
        kubectl.text("delete", "job", name, "--namespace", NAMESPACE, "--wait=false")
    if ended != "Complete":
        msg = f"{ended or f'not done within {SECONDS} s'}: {said}"
        raise Fault(msg)
    return said


def job_of(cron_job: dict[str, Any], *, dry_run: bool, minutes: int | None = None) -> dict[str, Any]:
    """Return the Job that the CronJob would start next, under a name of its own. Pure."""
    template = copy.deepcopy(cron_job["spec"]["jobTemplate"])
    more = ["--dry-run"] * dry_run + ([] if minutes is None else [f"--minutes={minutes}"])
    template["spec"]["template"]["spec"]["containers"][0].setdefault("args", []).extend(more)
    metadata = {**template.get("metadata", {}), "generateName": f"{CRON_JOB}-by-hand-", "namespace": NAMESPACE}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}


def _end(kubectl: Kubectl, name: str) -> str:
    """Return `Complete`, or why it failed; "" where it is not done in time."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        conditions = kubectl.read("job", name).get("status", {}).get("conditions") or []
        for one in conditions:
            if one["status"] == "True" and one["type"] in ("Complete", "Failed"):
                return "Complete" if one["type"] == "Complete" else f"failed ({one.get('reason', '')})"
        time.sleep(EVERY)
    return ""
