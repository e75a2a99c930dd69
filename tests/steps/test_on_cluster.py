"""Each failure class made for real on a cluster, named and advised; in a namespace of its own that is deleted after.

Runs where the context `$TIDEGATE_CONTEXT` (`kind-tidegate` otherwise) answers and its node has the image `hello`.
The step's code is put into the pod as a command; all else is the pod that the one builder makes.
"""

# ruff: noqa: ANN401

from __future__ import annotations

import json
import os
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from kubernetes import client, config

from tidegate.airflow.kube import Kube, Pod
from tidegate.airflow.steps import step
from tidegate.airflow.testing import StepRun, run_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONTEXT = os.environ.get("TIDEGATE_CONTEXT", "kind-tidegate")
NAMESPACE = "tidegate-steps-failures"

OK = "import json, os; open('/dev/termination-log', 'w').write(json.dumps({'summary': 'fine', 'metrics': {'m': 1}}))"
HOG = "b = []\nwhile True: b.append(bytearray(b'x' * 2**24))"


def core() -> client.CoreV1Api | None:
    try:
        config.load_kube_config(context=CONTEXT)
        api = client.CoreV1Api()
        api.get_api_resources(_request_timeout=3)
    except Exception:
        return None
    return api


def image() -> str | None:
    """An image with Python that the node has: that of the step `hello`."""
    api = core()
    if api is None:
        return None
    for node in api.list_node().items:
        names = [name for found in node.status.images for name in found.names or []]
        hello = sorted(name for name in names if "tidegate/hello:" in name)
        if hello:
            return hello[-1].removeprefix("docker.io/")
    return None


IMAGE = image()
pytestmark = pytest.mark.skipif(IMAGE is None, reason=f"no context {CONTEXT} with the image of step hello")


@pytest.fixture(scope="module")
def api() -> Iterator[client.CoreV1Api]:
    api = core()
    assert api
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    until = time.monotonic() + 90
    while any(item.metadata.name == NAMESPACE for item in api.list_namespace().items):
        assert time.monotonic() < until, f"namespace {NAMESPACE} of an earlier run does not go away"
        api.delete_namespace(NAMESPACE)
        time.sleep(2)
    api.create_namespace({"metadata": {"name": NAMESPACE, "labels": label}})
    api.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": "pipeline-d"}})
    api.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "tidegate-steps"}, "data": {}})
    yield api
    api.delete_namespace(NAMESPACE)
    api.api_client.close()


class WithCommand(Kube):
    """The real client, which lets a pod run a line of Python."""

    code = OK

    async def create(self, pod: Pod) -> Pod:
        pod["spec"]["containers"][0]["command"] = ["python", "-u", "-c", self.code]
        return await super().create(pod)


def run(api: client.CoreV1Api, code: str, *, meanwhile: Callable[[], None] | None = None, **spec: Any) -> StepRun:
    timeouts = spec.pop("timeouts", {})
    entry = {"image": IMAGE, "resources": {"requests": {"cpu": "10m"}, "limits": {"memory": "64Mi"}}, **spec}
    data = {"_platform": json.dumps({"store_root": "s3://none"}), "work": json.dumps(entry)}
    api.patch_namespaced_config_map("tidegate-steps", NAMESPACE, {"data": data})
    with pytest.MonkeyPatch.context() as patch, DAG("d", schedule=None) as dag:
        patch.setenv("TIDEGATE_STEPS_NAMESPACE", NAMESPACE)
        step("work", retries=1, **timeouts)

    async def connect() -> WithCommand:
        os.environ["TIDEGATE_CONTEXT"] = CONTEXT
        kube = await WithCommand.connect(NAMESPACE)
        kube.code = code  # type: ignore[attr-defined]
        return kube  # type: ignore[return-value]

    return run_step(dag.get_task("work"), connect=connect, meanwhile=meanwhile, run_id=f"r{time.time_ns()}")


def text(found: StepRun) -> str:
    return "\n".join(found.log)


def wait_running(api: client.CoreV1Api) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for pod in api.list_namespaced_pod(NAMESPACE).items:
            if pod.status.phase == "Running":
                return str(pod.metadata.name)
        time.sleep(0.2)
    raise AssertionError("no pod runs")


def test_success(api: client.CoreV1Api) -> None:
    found = run(api, "print('a line')\n" + OK)
    assert found.state == "success", text(found)
    assert "a line" in found.log


@pytest.mark.parametrize(
    ("code", "kind", "state"),
    [
        ("import sys; sys.exit('broken')", "application", "failed"),
        ("import sys; print('set $X'); sys.exit(2)", "bad_input", "failed_for_good"),
        ("import sys; sys.exit(75)", "try_later", "failed"),
        (HOG, "out_of_memory", "failed_for_good"),
    ],
)
def test_exit_of_the_step(api: client.CoreV1Api, code: str, kind: str, state: str) -> None:
    found = run(api, code)
    assert (found.state, f"FAILED {kind}" in text(found)) == (state, True), text(found)


def test_out_of_memory_gets_more_up_to_its_cap(api: client.CoreV1Api) -> None:
    grab = "b = bytearray(b'x' * (90 * 2**20))\n"
    found = run(api, grab + OK, memory_cap="256Mi")
    assert found.state == "success", text(found)
    assert "attempt 1 with 128Mi" in text(found)


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ({"image": "Bad//Name"}, "image_missing"),
        ({"image": "tidegate/none:1", "image_pull_policy": "Never"}, "image_missing"),
        ({"secret": "missing", "secret_keys": ["KEY"]}, "secret_missing"),
    ],
)
def test_permanent_start_failure_is_told_within_ten_seconds(api: client.CoreV1Api, spec: Any, kind: str) -> None:
    begun = time.monotonic()
    found = run(api, OK, **spec)
    took = time.monotonic() - begun
    assert (found.state, f"FAILED {kind}" in text(found)) == ("failed_for_good", True), text(found)
    assert took < 15, f"{took:.1f} s, of which a few are the harness's own"
    until = time.monotonic() + 40
    while api.list_namespaced_pod(NAMESPACE, field_selector="status.phase=Pending").items:
        assert time.monotonic() < until, "the pod that cannot start was left"
        time.sleep(0.5)


def test_pull_that_may_still_work_waits(api: client.CoreV1Api) -> None:
    found = run(api, OK, image="registry.invalid/none:1", timeouts={"start_timeout": timedelta(seconds=12)})
    assert (found.state, "FAILED image_waits" in text(found)) == ("failed", True), text(found)


def test_unschedulable(api: client.CoreV1Api) -> None:
    wanted = {"requests": {"cpu": "1000"}, "limits": {"memory": "64Mi"}}
    found = run(api, OK, resources=wanted, timeouts={"schedule_timeout": timedelta(seconds=3)})
    assert (found.state, "FAILED unschedulable" in text(found)) == ("failed", True), text(found)


def test_deadline(api: client.CoreV1Api) -> None:
    found = run(api, "import time; print('begun'); time.sleep(60)", active_deadline_seconds=4)
    assert (found.state, "FAILED deadline" in text(found)) == ("failed", True), text(found)
    assert "begun" in found.log


def test_evicted(api: client.CoreV1Api) -> None:
    def evict() -> None:
        name = wait_running(api)
        api.create_namespaced_pod_eviction(name, NAMESPACE, {"metadata": {"name": name, "namespace": NAMESPACE}})

    found = run(api, "import time; print('begun'); time.sleep(60)", meanwhile=evict)
    assert (found.state, "FAILED evicted" in text(found)) == ("failed", True), text(found)
    assert "begun" in found.log


def test_deleted_by_somebody_and_no_line_is_lost(api: client.CoreV1Api) -> None:
    code = "import signal, sys, time\nsignal.signal(15, lambda *_: (print('last line'), sys.exit(143)))\n"

    def delete() -> None:
        api.delete_namespaced_pod(wait_running(api), NAMESPACE)

    found = run(api, code + "print('begun')\ntime.sleep(60)", meanwhile=delete)
    assert (found.state, "FAILED deleted" in text(found)) == ("failed", True), text(found)
    assert {"begun", "last line"} <= set(found.log)
