"""Whatever is killed in the middle of a run, the run ends in a published model and leaves no pod over."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import petrol
from tests.cluster.commands import MAKING, killed_up, tidegate
from tidegate.cli import pods, release, runs, step_pods
from tidegate.cli.kubectl import NAMESPACE, STEPS_NAMESPACE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.conftest import Installed
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

SLOW = {"n_estimators": 9000, "force": True}
"""Trees enough for a training that is still going on when it is killed, and trained each time anew."""
IN_A_WHILE = 120
OVER = ("Succeeded", "Failed")


def training_pods(kubectl: Kubectl, run_id: str) -> list[dict[str, Any]]:
    return step_pods.of_steps(kubectl, dag="petrol", run=run_id, task="train_model")


def running(kubectl: Kubectl, run_id: str) -> str:
    """The name of the training pod of a run, once it runs."""
    found: list[str] = []

    def seen() -> bool:
        phases = [(pod["metadata"]["name"], pod["status"]["phase"]) for pod in training_pods(kubectl, run_id)]
        found[:] = [name for name, phase in phases if phase == "Running"]
        return bool(found)

    state = lambda: str(training_pods(kubectl, run_id))  # noqa: E731 - said only when the time is over
    runs.until(seen, seconds=IN_A_WHILE, what="a training pod that runs", state=state, every=0.5)
    return found[0]


def assert_published(api: Airflow, store: petrol.S3, run_id: str, hour: datetime) -> None:
    run = petrol.finished(api, run_id)
    found = petrol.published(store, hour)
    assert found.card["model"]["sha256"] == found.model_sha256
    assert found.card["parameters"]["n_estimators"] == SLOW["n_estimators"]
    assert petrol.hour_of(run) == hour


def assert_no_pod_left_over(kubectl: Kubectl, run_id: str) -> None:
    found = step_pods.of_steps(kubectl, dag="petrol", run=run_id)
    assert [pod["metadata"]["name"] for pod in found if pod["status"]["phase"] not in OVER] == []


def started(api: Airflow, year: int) -> tuple[str, datetime]:
    """A slow run under an hour that no other test publishes to."""
    hour = datetime(year, 6, 15, 12, 0, 0, datetime.now(UTC).microsecond, tzinfo=UTC)
    return api.trigger("petrol", conf=SLOW, logical_date=hour), hour


def test_the_training_pod_is_deleted(api: Airflow, kubectl: Kubectl, store: petrol.S3) -> None:
    run_id, hour = started(api, 2021)
    first = running(kubectl, run_id)
    kubectl.text("delete", "pod", first, "--namespace", STEPS_NAMESPACE, "--wait=false")
    assert_published(api, store, run_id, hour)
    assert first not in [pod["metadata"]["name"] for pod in training_pods(kubectl, run_id)]
    assert_no_pod_left_over(kubectl, run_id)


def test_all_of_airflow_and_its_database_are_killed_at_once(api: Airflow, kubectl: Kubectl, store: petrol.S3) -> None:
    """SIGKILL to scheduler, triggerer, API server, DAG processor and PostgreSQL: the training goes on and is read."""
    run_id, hour = started(api, 2022)
    first = running(kubectl, run_id)
    parts = "component in (scheduler, triggerer, api-server, dag-processor, standalone)"
    for selector in (parts, "app.kubernetes.io/component=postgresql"):
        assert kubectl.items("pods", "--selector", selector)
        kill = ("delete", "pods", "--selector", selector, "--grace-period=0", "--force", "--wait=false")
        kubectl.text(*kill, "--namespace", NAMESPACE)
    assert_published(api, store, run_id, hour)
    assert [pod["metadata"]["name"] for pod in training_pods(kubectl, run_id)] == [first]
    assert_no_pod_left_over(kubectl, run_id)


@pytest.mark.parametrize("at", ["Install Tidegate", "Run the pipelines"])
def test_up_is_killed_and_run_again(
    at: str, api: Airflow, kubectl: Kubectl, installed: Installed, tmp_path: Path
) -> None:
    if at == "Install Tidegate":
        leave_pending(kubectl)
    killed_up(installed.up, at, tmp_path / "killed.log")
    again = tidegate(*installed.up)
    assert again.returncode == 0, f"{again.stdout}\n{again.stderr}"
    assert release.status(kubectl)["status"] == "deployed"
    assert pods.unready(kubectl.items("pods")) == {}
    for run in api.runs("petrol", limit=3):
        petrol.finished(api, run["dag_run_id"])
        assert_no_pod_left_over(kubectl, run["dag_run_id"])


def leave_pending(kubectl: Kubectl) -> None:
    """Put the release into the state in which a helm leaves it that was killed before."""
    newest = max(
        kubectl.items("secrets", "--selector", f"owner=helm,name={release.NAME}"),
        key=lambda secret: int(secret["metadata"]["labels"]["version"]),
    )
    pending = release.restated(newest, status="pending-upgrade", description="Preparing upgrade")
    kubectl.text("replace", "--filename", "-", stdin=json.dumps(pending))


def test_up_was_killed_while_it_made_the_cluster_and_run_again(installed: Installed) -> None:
    if not installed.ours:
        pytest.skip("optional: the cluster was running before these tests")
    assert MAKING in installed.killed
    assert "Where to look" in installed.said
