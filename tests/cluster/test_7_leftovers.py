"""After all of that, nothing runs any more but the release itself, and what finished pods are kept is bounded."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tidegate.cli import runs
from tidegate.cli.kubectl import STEPS_NAMESPACE
from tidegate.cli.step_pods import ID

if TYPE_CHECKING:
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

COLLECTED = "tidegate.dev/collected=true"
"""Label of finished pods whose result and log Airflow has."""
KEPT = 3
"""So many of them are kept of a task, for people who read logs."""
QUIET_SECONDS = 300


def test_no_pod_runs_when_no_run_does(api: Airflow, kubectl: Kubectl) -> None:
    def under_way() -> list[str]:
        return [one["dag_run_id"] for dag in api.dag_ids() for one in api.runs(dag) if one["state"] not in runs.OVER]

    runs.until(lambda: not under_way(), seconds=QUIET_SECONDS, what="every run to end", state=lambda: str(under_way()))
    phases = {
        pod["metadata"]["name"]: pod["status"]["phase"] for pod in kubectl.items("pods", namespace=STEPS_NAMESPACE)
    }
    assert {name: phase for name, phase in phases.items() if phase not in ("Succeeded", "Failed")} == {}


def test_finished_pods_do_not_pile_up(kubectl: Kubectl) -> None:
    read = kubectl.items("pods", "--selector", COLLECTED, namespace=STEPS_NAMESPACE)
    notes = [pod["metadata"]["annotations"] for pod in read]
    tasks = Counter((one[ID.format("dag")], one[ID.format("task")]) for one in notes)
    assert tasks
    assert {task: count for task, count in tasks.items() if count > KEPT} == {}
