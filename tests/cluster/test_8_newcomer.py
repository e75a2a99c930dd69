"""The README's "Add a step", typed line by line: a step of one's own runs in a pod, and not again for the same work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import newcomer
from tests.cluster.commands import tidegate
from tidegate.cli import step_pods
from tidegate.cluster import images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.conftest import Installed
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl


@pytest.fixture(scope="module")
def typed(
    installed: Installed, kubectl: Kubectl, api: Airflow, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, list[tuple[str, str, float]]]]:
    """The copy, and what every line printed. A cluster that is taken down next need not forget it."""
    copy = newcomer.checkout(tmp_path_factory.mktemp("newcomer"))
    try:
        told = newcomer.type_all(copy)
        for line, _, seconds in told:
            print(f"{seconds:6.1f} s  {line}")  # noqa: T201 - figures people want to see
        yield copy, told
    finally:
        if not installed.ours:
            newcomer.forget(kubectl, api)


@pytest.fixture(scope="module")
def uses(typed: object) -> list[dict[str, Any]]:
    """What the ledger says of the two runs, the older first."""
    done = tidegate("ledger", "uses", "--pipeline", newcomer.DAG, "--limit", "2", "--json", seconds=120)
    assert done.returncode == 0, done.stderr
    return list(reversed(json.loads(done.stdout)["uses"]))


def test_the_first_run_has_a_pod_and_the_second_uses_its_result(kubectl: Kubectl, uses: list[dict[str, Any]]) -> None:
    assert [one["verdict"] for one in uses] == ["run", "hit"]
    pods = step_pods.of_steps(kubectl, dag=newcomer.DAG)
    assert [pod["status"]["phase"] for pod in pods] == ["Succeeded"]


def test_the_pod_ran_the_image_of_the_new_step(
    kubectl: Kubectl, typed: tuple[Path, list[tuple[str, str, float]]], uses: list[dict[str, Any]]
) -> None:
    (pod,) = step_pods.of_steps(kubectl, dag=newcomer.DAG)
    assert pod["spec"]["containers"][0]["image"] == images.references(root=typed[0])["count_rows"]


def test_the_result_is_what_the_step_counted(typed: tuple[Path, list[tuple[str, str, float]]]) -> None:
    (here, *_, last) = [said for line, said, _ in typed[1] if " run " in line or "ledger" in line]
    assert json.loads(here)["metrics"]["lines"] > 100
    assert "hit" in last


def test_the_new_files_pass_their_own_tests(typed: tuple[Path, list[tuple[str, str, float]]]) -> None:
    copy, _ = typed
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/static/test_layout.py"]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout
