"""Each class of failure, made for real in one run: how its cases' pods differ from real ones, and what is done to them.

Reads: the ConfigMap of steps. Writes: the cases' entries to it while a block runs, a run, two pods' end. Again: entries
are replaced.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tidegate.cli import runs, step_pods
from tidegate.cli.kubectl import STEPS_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

DAG_ID = "failure_classes"
CONFIG = "tidegate-steps"
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
PATIENCE = {"start_timeout": timedelta(seconds=45), "schedule_timeout": timedelta(seconds=5)}

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


@contextmanager
def steps(kubectl: Kubectl) -> Iterator[None]:
    """The cases' entries in the ConfigMap, while the block runs."""
    known = kubectl.read("configmap", CONFIG, namespace=STEPS_NAMESPACE)["data"]
    hello, train = json.loads(known["hello"]), json.loads(known["train_model"])
    train["resources"]["requests"]["cpu"] = "10m"  # a busy node is no failure that is looked for here
    entries = {name: {**hello, **changes} for name, (_, changes) in HOPELESS.items()}
    entries |= {name: {**train, **changes} for name, (_, changes) in OTHERS.items()}
    _patch(kubectl, {name: json.dumps(entry) for name, entry in entries.items()})
    try:
        yield
    finally:
        _patch(kubectl, dict.fromkeys(entries))


def begin(kubectl: Kubectl, api: Airflow) -> runs.Run:
    """One run of all cases; two of its pods were taken away while they ran, and by then the others have started."""
    started = runs.Run(DAG_ID, api.trigger(DAG_ID))
    deleted = _running(kubectl, started, "deleted")
    kubectl.text("delete", "pod", deleted, "--namespace", STEPS_NAMESPACE, "--wait=false")
    _evict(kubectl, _running(kubectl, started, "evicted"))
    return started


def _patch(kubectl: Kubectl, data: dict[str, Any]) -> None:
    body = json.dumps({"data": data})
    kubectl.text("patch", "configmap", CONFIG, "--namespace", STEPS_NAMESPACE, "--type=merge", "--patch", body)


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
