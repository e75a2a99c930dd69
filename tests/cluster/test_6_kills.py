"""`up` that is killed in the middle and run again ends in a published model and leaves no pod over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cluster import petrol
from tests.cluster.commands import MAKING, killed_up, tidegate
from tidegate.cli import pods, release

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.conftest import Installed
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl


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
        petrol.assert_no_pod_left_over(kubectl, run["dag_run_id"])


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
