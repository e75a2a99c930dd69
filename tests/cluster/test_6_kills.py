"""`up` that is killed in the middle and run again ends in a published model and leaves no pod over.

It was killed at several of its phases, one call after the other; each went on from what the one before had left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster import petrol
from tests.cluster.commands import INSTALLING, MAKING, RUNNING
from tidegate.cli import pods, release
from tidegate.cli.kubectl import Kubectl
from tidegate.cli.state import KIND_CONTEXT

if TYPE_CHECKING:
    from tests.cluster.conftest import Installed
    from tidegate.cli.airflow_api import Airflow


def test_up_was_killed_while_it_made_the_cluster_and_run_again(installed: Installed) -> None:
    if not installed.ours:
        pytest.skip("optional: the cluster was running before these tests")
    assert installed.killed[MAKING].count("> ") >= 1
    assert "Delete the broken cluster" in installed.killed[INSTALLING]


def test_up_was_killed_while_helm_waited_and_run_again(installed: Installed) -> None:
    assert "Push the pipelines" not in installed.killed[INSTALLING]
    assert "was left pending-" in installed.killed[RUNNING]


def test_up_was_killed_while_pipelines_ran_and_run_again(installed: Installed, api: Airflow) -> None:
    assert "Where to look" not in installed.killed[RUNNING]
    assert "Where to look" in installed.said
    kubectl = Kubectl(KIND_CONTEXT)
    assert release.status(kubectl)["status"] == "deployed"
    assert pods.unready(kubectl.items("pods")) == {}
    begun = [one["dag_run_id"] for one in api.runs("petrol", limit=100) if one["dag_run_id"].startswith("up__")]
    assert len(begun) >= 2
    for run_id in begun:
        petrol.finished(api, run_id)
        petrol.assert_no_pod_left_over(kubectl, run_id)
