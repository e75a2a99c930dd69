"""A step that looks around in its pod, and a canary that tells whether the cluster enforces NetworkPolicies at all.

Reads: Airflow's API, the object store. Writes: a run of `probe`; a namespace of the canary's own, which goes again.
Again: the run is forced, and a canary that was left goes first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cluster.petrol import body
from tidegate.cli import runs
from tidegate.cli.kubectl import NAMESPACE, STEPS_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.petrol import S3
    from tests.cluster.scenes import At
    from tidegate.cli.kubectl import Kubectl

DAG_ID = "probe"
FOLDER = "tests/security"
NOT_ENFORCED = "optional: not run: this network plugin enforces no NetworkPolicy"
"""Why reachability is not tested; `make test` prints it from `not run` on."""

ALLOWED = ("store",)
"""What a step like this one has an arrow to, see helm/tidegate/templates/networkpolicies."""
TARGETS = {
    "store": ("versitygw", 7070),
    "database": ("postgresql", 5432),
    "people": ("people-postgresql", 5432),
    "airflow": ("airflow-api-server", 8080),
    "git": ("git-server", 80),
    "lake": ("datalake", 10000),
    "mail": ("maildev", 1025),
    "weather": ("weather-api", 8080),
    "azure_ml": ("azure-ml-api", 8443),
}
"""Name -> service of the release and its port."""
PARAMETERS = {
    "TARGETS": {
        **{name: [f"{host}.{NAMESPACE}.svc", port] for name, (host, port) in TARGETS.items()},
        "kubernetes": ["kubernetes.default.svc", 443],
    },
    "KUBERNETES": "https://kubernetes.default.svc",
    "NAMESPACE": STEPS_NAMESPACE,
    "AIRFLOW": f"http://airflow-api-server.{NAMESPACE}.svc:8080",
}
SCRIPT = Path(__file__).with_name("probe.py")

TEXT = f"""
import json

from airflow.sdk import DAG

from tidegate.airflow import step

with DAG("{DAG_ID}", schedule=None):
    looking = {{"command": ["python", "-c", {SCRIPT.read_text()!r}], "parameters": {PARAMETERS!r}}}
    step("run_command", task_id="look", params=looking, output="{FOLDER}")
"""


@dataclass(frozen=True)
class Seen:
    """What the probe saw, and whether policies mean anything here."""

    report: dict[str, Any]
    enforced: bool


def play(at: At, store: S3) -> Seen:
    """One run of the probe, and the canary."""
    run = at.start(DAG_ID, {"force": True})
    enforced = policies_are_enforced(at.kubectl)
    at.green(run)
    return Seen(json.loads(body(store, f"{FOLDER}/report.json")), enforced)


CANARY = "tidegate-canary"
PORT = 8080
CANARY_SECONDS = 180
LISTEN = f"import http.server as h; h.test(h.SimpleHTTPRequestHandler, port={PORT})"
KNOCK = """
import os, socket, sys, time
until = time.monotonic() + 60
def reached(variable):
    try:
        socket.create_connection((os.environ[variable], 8080), timeout=3).close()
    except OSError:
        return False
    return True
while not reached("OPEN"):
    if time.monotonic() > until:
        sys.exit("the pod without a policy was not reached either")
    time.sleep(0.5)
print("reached" if any(reached("CLOSED") for _ in range(3)) else "kept out")
"""


def policies_are_enforced(kubectl: Kubectl) -> bool:
    """Whether a pod that a policy closes is out of reach, while its neighbour without one is reached.

    Raises:
        Fault: The canary did not come to an end; the text shows its pods.
    """
    _remove(kubectl)
    try:
        image = json.loads(kubectl.read("configmap", "tidegate-steps", namespace=STEPS_NAMESPACE)["data"]["hello"])[
            "image"
        ]
        _apply(kubectl, _namespace(), _policy(), *(_pod(name, image, LISTEN) for name in ("open", "closed")))
        addresses = {name: _address(kubectl, name) for name in ("open", "closed")}
        _apply(kubectl, _pod("knock", image, KNOCK, OPEN=addresses["open"], CLOSED=addresses["closed"]))
        _until(kubectl, "knock", lambda pod: pod["status"]["phase"] in ("Succeeded", "Failed"))
        said = kubectl.text("logs", "--namespace", CANARY, "knock").strip()
        assert said in ("reached", "kept out"), said
        return said == "kept out"
    finally:
        _remove(kubectl)


def _remove(kubectl: Kubectl) -> None:
    kubectl.text("delete", "namespace", CANARY, "--ignore-not-found", "--timeout=120s", timeout=150)


def _apply(kubectl: Kubectl, *objects: dict[str, Any]) -> None:
    kubectl.text("apply", "--filename", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def _namespace() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": CANARY}}


def _policy() -> dict[str, Any]:
    """Nobody --x closed."""
    spec = {"podSelector": {"matchLabels": {"canary": "closed"}}, "policyTypes": ["Ingress"]}
    metadata = {"name": "closed", "namespace": CANARY}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def _pod(name: str, image: str, program: str, **variables: str) -> dict[str, Any]:
    container = {
        "name": "canary",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", program],
        "workingDir": "/tmp",  # noqa: S108 - the pod's own
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "resources": {"requests": {"cpu": "5m", "memory": "24Mi"}, "limits": {"memory": "96Mi"}},
    }
    spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]}
    metadata = {"name": name, "namespace": CANARY, "labels": {"canary": name}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {**spec, "terminationGracePeriodSeconds": 0},
    }


def _address(kubectl: Kubectl, name: str) -> str:
    pod = _until(kubectl, name, lambda pod: pod["status"]["phase"] == "Running" and pod["status"].get("podIP"))
    return str(pod["status"]["podIP"])


def _until(kubectl: Kubectl, name: str, done: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    def pod() -> dict[str, Any]:
        return kubectl.read("pod", name, namespace=CANARY)

    state = lambda: str(pod()["status"])  # noqa: E731 - said only when late
    runs.until(lambda: bool(done(pod())), seconds=CANARY_SECONDS, what=f"the canary {name}", state=state, every=1.0)
    return pod()
