"""After all of that, nothing runs any more but the release itself, and what finished pods are kept is bounded."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.cluster.commands import tidegate
from tidegate.cli import runs
from tidegate.cli.kubectl import STEPS_NAMESPACE
from tidegate.cli.step_pods import ID, OURS

if TYPE_CHECKING:
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

OVER = ("Succeeded", "Failed")
KEPT = 3
"""So many finished pods are kept of a task, for people who read logs."""
QUIET_SECONDS = 300


def test_no_pod_runs_when_no_run_does(api: Airflow, kubectl: Kubectl) -> None:
    def under_way() -> list[str]:
        return [one["dag_run_id"] for dag in api.dag_ids() for one in api.runs(dag) if one["state"] not in runs.OVER]

    runs.until(lambda: not under_way(), seconds=QUIET_SECONDS, what="every run to end", state=lambda: str(under_way()))
    phases = {
        pod["metadata"]["name"]: pod["status"]["phase"] for pod in kubectl.items("pods", namespace=STEPS_NAMESPACE)
    }
    assert {name: phase for name, phase in phases.items() if phase not in OVER} == {}


def finished(kubectl: Kubectl) -> dict[str, tuple[str, str]]:
    """Name of each pod that has ended and stays -> its DAG and task."""
    found = kubectl.items("pods", "--selector", OURS, namespace=STEPS_NAMESPACE)
    stay = [pod["metadata"] for pod in found if pod["status"]["phase"] in OVER]
    return {
        one["name"]: (one["annotations"][ID.format("dag")], one["annotations"][ID.format("task")])
        for one in stay
        if "deletionTimestamp" not in one
    }


def test_finished_pods_do_not_pile_up(kubectl: Kubectl) -> None:
    """The release's own CronJob does it every few minutes; here it is told to. Pods that end meanwhile stay."""
    before = finished(kubectl)
    done = tidegate("reconcile", "--minutes", "0")
    assert done.returncode == 0, done.stderr
    after = finished(kubectl)
    assert after
    kept = Counter(task for name, task in after.items() if name in before)
    assert {task: count for task, count in kept.items() if count > KEPT} == {}
    there, stay = Counter(before.values()), Counter(after.values())
    assert {task: stay[task] for task in there if stay[task] < min(KEPT, there[task])} == {}, "too many went"
