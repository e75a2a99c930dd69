"""Each class of failure is made for real, named, told with what to do, and tried again only where that can help.

All cases run side by side in one DAG. What their pods look like is put into the ConfigMap of steps beside the real
ones, and taken out again; bad input and too little memory for a real table are in `test_5_bad_input`.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.pushed import pushed
from tidegate.cli import runs, step_pods
from tidegate.cli.kubectl import STEPS_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

DAG_ID = "failure_classes"
CONFIG = "tidegate-steps"
AT_ONCE = 10
"""Seconds within which a start that cannot work is given up."""
IN_A_WHILE = 180

TAG = "0123456789ab"
"""Of images that are not there; the ledger would refuse a tag that can be moved."""

HOPELESS = {
    "movable_image": ("not_configured", {"image": "tidegate/hello:latest"}),
    "wrong_name": ("image_missing", {"image": f"Bad//Name:{TAG}"}),
    "no_image": ("image_missing", {"image": f"tidegate/none:{TAG}", "image_pull_policy": "Never"}),
    "no_secret": ("secret_missing", {"secret": "missing", "secret_keys": ["KEY"]}),
    "no_key": ("secret_missing", {"secret_keys": ["NO_SUCH_KEY"]}),
    "refused": ("not_configured", {"resources": {"requests": {"cpu": "-1"}, "limits": {"memory": "64Mi"}}}),
}
"""Step -> its failure, and how it differs from `hello`. None may be tried again, though each has two retries."""

OTHERS = {
    "registry_away": ("image_waits", {"image": f"registry.invalid/none:{TAG}"}),
    "no_node": ("unschedulable", {"resources": {"requests": {"cpu": "1000"}, "limits": {"memory": "64Mi"}}}),
    "stuck": ("deadline", {"active_deadline_seconds": 5}),
    "no_store": ("try_later", {"env": {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9", "AWS_REGION": "x"}}),
    "broken": ("application", {"env": {"PYTHONHOME": "/nowhere"}}),
    "hungry": ("out_of_memory", {"resources": {"limits": {"memory": "24Mi"}}, "memory_cap": "32Mi"}),
}
"""The same, from `train_model`; these have no retries left to wait for."""

SLOW = {"n_estimators": 9000}
DISTURBED = {"evicted": "evicted", "deleted": "deleted"}
"""Task of a real training -> the failure when that is done to its pod."""

DAG = """\
import json
from datetime import timedelta

from airflow.sdk import DAG

from tidegate.airflow import step

DATA = {"data": "data/petrol_consumption.csv"}
PATIENCE = {"start_timeout": timedelta(seconds=12), "schedule_timeout": timedelta(seconds=5)}

with DAG("failure_classes", schedule=None):
    for name in json.loads(HOPELESS):
        step(name, retries=2)
    for name in json.loads(OTHERS):
        step(name, params=json.loads(SLOW), inputs=DATA, output=f"tests/failure_classes/{name}", **PATIENCE)
    for name in json.loads(DISTURBED):
        output = f"tests/failure_classes/{name}"
        step("train_model", task_id=name, params=json.loads(SLOW), inputs=DATA, output=output)
"""


def dag_text() -> str:
    """The file of a DAG with a task for each case."""
    names = {"HOPELESS": list(HOPELESS), "OTHERS": list(OTHERS), "SLOW": SLOW, "DISTURBED": list(DISTURBED)}
    text = DAG
    for name, value in names.items():
        text = text.replace(f"json.loads({name})", f"json.loads({json.dumps(value)!r})")
    return text


@pytest.fixture(scope="module")
def steps(kubectl: Kubectl) -> Iterator[None]:
    """The cases' entries in the ConfigMap, and the service account that the chart would make."""
    known = kubectl.read("configmap", CONFIG, namespace=STEPS_NAMESPACE)["data"]
    hello, train = json.loads(known["hello"]), json.loads(known["train_model"])
    train["resources"]["requests"]["cpu"] = "10m"  # a busy node is no failure that is looked for here
    entries = {name: {**hello, **changes} for name, (_, changes) in HOPELESS.items()}
    entries |= {name: {**train, **changes} for name, (_, changes) in OTHERS.items()}
    where = f"{{name: pipeline-failure-classes, namespace: {STEPS_NAMESPACE}}}"
    manifest = f"apiVersion: v1\nkind: ServiceAccount\nmetadata: {where}\n"
    kubectl.text("apply", "--filename", "-", stdin=manifest)
    _patch(kubectl, {name: json.dumps(entry) for name, entry in entries.items()})
    yield
    _patch(kubectl, dict.fromkeys(entries))
    kubectl.text("delete", "--filename", "-", stdin=manifest)


def _patch(kubectl: Kubectl, data: dict[str, Any]) -> None:
    body = json.dumps({"data": data})
    kubectl.text("patch", "configmap", CONFIG, "--namespace", STEPS_NAMESPACE, "--type=merge", "--patch", body)


@pytest.fixture(scope="module")
def run(kubectl: Kubectl, api: Airflow, steps: None) -> Iterator[runs.Run]:
    """One run of all cases, over; two of its pods were taken away while they ran."""
    with pushed(kubectl, f"{DAG_ID}.py", dag_text()):
        runs.wait_visible(api, DAG_ID, source=dag_text())
        api.unpause(DAG_ID)
        started = runs.Run(DAG_ID, api.trigger(DAG_ID))
        kubectl.text(
            "delete", "pod", _running(kubectl, started, "deleted"), "--namespace", STEPS_NAMESPACE, "--wait=false"
        )
        _evict(kubectl, _running(kubectl, started, "evicted"))
        assert runs.wait(api, [started], seconds=600)[started] == "failed"
        yield started


def _running(kubectl: Kubectl, run: runs.Run, task: str) -> str:
    """The name of a task's pod, once it runs."""
    found: list[str] = []

    def seen() -> bool:
        pods = step_pods.of_steps(kubectl, dag=run.dag_id, run=run.run_id, task=task)
        found[:] = [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"]
        return bool(found)

    state = lambda: str(step_pods.of_steps(kubectl, dag=run.dag_id, run=run.run_id))  # noqa: E731 - said only when late
    runs.until(seen, seconds=IN_A_WHILE, what=f"the pod of {task} to run", state=state, every=0.5)
    return found[0]


def _evict(kubectl: Kubectl, pod: str) -> None:
    """What `kubectl drain` does to a pod."""
    metadata = {"name": pod, "namespace": STEPS_NAMESPACE}
    body = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata})
    path = f"/api/v1/namespaces/{STEPS_NAMESPACE}/pods/{pod}/eviction"
    kubectl.text("create", "--raw", path, "--filename", "-", stdin=body)


KINDS = {name: kind for name, (kind, _) in (HOPELESS | OTHERS).items()} | DISTURBED


@pytest.mark.parametrize("task", KINDS)
def test_the_log_names_the_failure_and_what_to_do(api: Airflow, run: runs.Run, task: str) -> None:
    said = "\n".join(api.log(run.dag_id, run.run_id, task))
    assert f"FAILED {KINDS[task]}: " in said
    assert "What to do: " in said


@pytest.mark.parametrize("task", KINDS)
def test_the_reason_is_a_value_that_the_ui_shows(api: Airflow, run: runs.Run, task: str) -> None:
    assert api.xcom(run.dag_id, run.run_id, task, key="failure")["kind"] == KINDS[task]


@pytest.mark.parametrize("task", HOPELESS)
def test_a_start_that_cannot_work_is_given_up_at_once_and_for_good(api: Airflow, run: runs.Run, task: str) -> None:
    found = next(one for one in api.tasks(run.dag_id, run.run_id) if one["task_id"] == task)
    assert (found["state"], found["try_number"]) == ("failed", 1)
    waited = re.findall(r"FAILED \w+: .*\(after (\d+) s\)", "\n".join(api.log(run.dag_id, run.run_id, task)))
    assert [seconds for seconds in waited if int(seconds) > AT_ONCE] == []
    assert waited or KINDS[task] == "not_configured"


def test_more_memory_is_tried_up_to_the_cap(api: Airflow, run: runs.Run) -> None:
    said = "\n".join(api.log(run.dag_id, run.run_id, "hungry"))
    assert "attempt 1 with 32Mi" in said
    assert "limit 32Mi" in said


def test_no_pod_is_left_that_could_still_start(kubectl: Kubectl, run: runs.Run) -> None:
    left = step_pods.of_steps(kubectl, dag=run.dag_id, run=run.run_id)
    assert [pod["metadata"]["name"] for pod in left if pod["status"]["phase"] not in ("Succeeded", "Failed")] == []
