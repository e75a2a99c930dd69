"""What people look at first: `tidegate status` tells what is well and what is not, `tidegate logs` finds a step's log.

The platform is whole again after all the kills; then one part cannot start, and a step's pod is read, deleted, and read
again from Airflow. Nothing else runs meanwhile.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import counted
from tests.cluster.acts import KILLED as DAG
from tests.cluster.commands import tidegate
from tidegate.cli import pods, runs, step_pods
from tidegate.cli.kubectl import NAMESPACE, STEPS_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.acts import Acts
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

PARTS = {"Airflow's database", "scheduler", "triggerer", "DAG processor", "ledger", "pipelines' files", "release"}
"""What is told of beside the pods and the stores."""
STORE = "store s3://tidegate"
BROKEN = "weather-api"
"""A Deployment that replaces its pod only once the new one is ready: nobody misses it while that cannot start."""
NO_IMAGE = "127.0.0.1:1/none:1"
WELL_WITHIN, WITHIN = 240, 120
"""Seconds: after the kills a heartbeat may be late; all else happens at once unless the machine is busy."""
CALL_SECONDS = 200


@dataclass(frozen=True)
class Told:
    """What one call of `status --json` came to."""

    code: int
    document: dict[str, Any]

    @property
    def findings(self) -> dict[str, dict[str, str]]:
        """What was looked at -> the finding."""
        return {one["what"]: one for one in self.document["findings"]}


def status() -> Told:
    done = tidegate("status", "--json", seconds=CALL_SECONDS)
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout, done.stderr
    return Told(done.returncode, json.loads(done.stdout))


def logs(run_id: str) -> list[str]:
    """The lines of the first step of a run."""
    done = tidegate("logs", DAG.dag_id, counted.FIRST, "--run", run_id, seconds=CALL_SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def numbers(log: list[str]) -> list[int]:
    """The numbers of the lines that the step printed."""
    return [int(found[1]) for line in log if (found := counted.LINE.search(line))]


@pytest.fixture(scope="module")
def run_id(api: Airflow, acts: Acts, store: counted.S3) -> Iterator[str]:
    """A run whose first step takes a while; it is begun now, and stopped where a test has left it under way."""
    acts.over.result()
    found = api.trigger(DAG.dag_id)
    yield found
    stop(api, found)
    counted.forget(store, DAG)


def stop(api: Airflow, run_id: str) -> None:
    if (api.run(DAG.dag_id, run_id) or {}).get("state") not in runs.OVER:
        api.call("PATCH", f"dags/{DAG.dag_id}/dagRuns/{run_id}", json={"state": "failed"})


@pytest.fixture
def broken(kubectl: Kubectl) -> Iterator[str]:
    """The pod of a Deployment that was given an image which nobody has, once the node has tried; put right after."""
    where = ("--namespace", NAMESPACE)
    kubectl.text("set", "image", f"deployment/{BROKEN}", f"*={NO_IMAGE}", *where)
    found: list[str] = []

    def seen() -> bool:
        held = pods.unready(kubectl.items("pods"))
        found[:] = [name for name, why in held.items() if name.startswith(BROKEN) and "ImagePull" in why]
        return bool(found)

    try:
        state = lambda: str(pods.unready(kubectl.items("pods")))  # noqa: E731 - said only when late
        runs.until(seen, seconds=WITHIN, what=f"a pod of {BROKEN} without its image", state=state)
        yield found[0]
    finally:
        kubectl.text("rollout", "undo", f"deployment/{BROKEN}", *where)
        kubectl.text("rollout", "status", f"deployment/{BROKEN}", *where, f"--timeout={WITHIN}s", timeout=WITHIN + 10)


def test_when_all_is_well_it_says_so_of_every_part(run_id: str, kubectl: Kubectl) -> None:
    seen: list[Told] = []

    def well() -> bool:
        seen.append(status())
        return seen[-1].code == 0

    state = lambda: json.dumps(seen[-1].document["findings"], indent=1)  # noqa: E731 - said only when late
    runs.until(well, seconds=WELL_WITHIN, what="`status` to find all well", state=state)
    told = seen[-1]
    assert told.document["ok"] is True
    assert told.document["context"] == kubectl.context
    running = {
        one["metadata"]["name"] for one in kubectl.items("pods") if not pods.of_a_job(one) and not pods.leaves(one)
    }
    assert running | PARTS | {STORE} <= set(told.findings)
    assert {one["verdict"] for one in told.findings.values()} <= {"ok", "note"}
    assert "hello" in {one["dag"] for one in told.document["pipelines"]}


def test_a_part_that_cannot_start_is_named_with_what_to_do(broken: str) -> None:
    told = status()
    assert (told.code, told.document["ok"]) == (1, False)
    bad = {what: one["do"] for what, one in told.findings.items() if one["verdict"] == "BAD"}
    assert broken in bad, "others may be late as well on a busy machine"
    assert "images list" in bad[broken]


def test_a_log_is_found_while_the_pod_lives_and_when_it_is_gone(run_id: str, api: Airflow, kubectl: Kubectl) -> None:
    alive: list[str] = []

    def begun() -> bool:
        alive[:] = logs(run_id) if living(kubectl, run_id) else []
        return bool(numbers(alive))

    runs.until(begun, seconds=WITHIN, what="lines of the first step", state=lambda: f"{alive}")
    pod = living(kubectl, run_id)
    assert kubectl.text("logs", pod, "--namespace", STEPS_NAMESPACE).splitlines()[: len(alive)] == alive
    stop(api, run_id)
    kubectl.text("delete", "pod", pod, "--namespace", STEPS_NAMESPACE, "--ignore-not-found", timeout=WITHIN)
    gone: list[str] = []

    def kept() -> bool:
        gone[:] = logs(run_id)
        return set(numbers(alive)) <= set(numbers(gone))

    runs.until(kept, seconds=WITHIN, what=f"Airflow to have {alive[-1]!r}", state=lambda: "\n".join(gone[-30:]))
    assert living(kubectl, run_id) == ""


def living(kubectl: Kubectl, run_id: str) -> str:
    """The name of the first step's pod while it runs."""
    found = step_pods.of_steps(kubectl, dag=DAG.dag_id, run=run_id, task=counted.FIRST)
    running = [one["metadata"] for one in found if one["status"].get("phase") == "Running"]
    return next((str(one["name"]) for one in running if "deletionTimestamp" not in one), "")
