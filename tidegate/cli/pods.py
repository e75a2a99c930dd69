"""What the pods of a namespace are doing, in words.

Reads: pods, and the logs of those that fail. Writes: lines on the console.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tidegate.cli.fault import Fault
from tidegate.cli.kubectl import NAMESPACE, Kubectl
from tidegate.cluster.errors import ClusterError
from tidegate.progress import console

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERY = 5.0
"""Seconds between looks."""

LOG_LINES = 15
"""So many last lines of a container that does not become ready are shown."""


def unready(pods: list[dict[str, Any]]) -> dict[str, str]:
    """Pod name -> why it is not ready. A pod that has succeeded, or is being deleted, wants nothing any more."""
    waiting = [pod for pod in pods if not (leaves(pod) or _comes_and_goes(pod) or _ready(pod))]
    return {pod["metadata"]["name"]: _reason(pod) for pod in waiting}


def leaves(pod: dict[str, Any]) -> bool:
    """Whether it is done, or being deleted."""
    return bool(pod["status"].get("phase") == "Succeeded" or pod["metadata"].get("deletionTimestamp"))


def _comes_and_goes(pod: dict[str, Any]) -> bool:
    """Whether it is of the CronJob that tidies up: nothing waits for that."""
    labels: dict[str, str] = pod["metadata"].get("labels", {})
    return labels.get("app.kubernetes.io/component") == "reconcile"


def _ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def of_a_job(pod: dict[str, Any]) -> bool:
    """Whether a Job made it, so that it ends some time."""
    return any(owner["kind"] == "Job" for owner in pod["metadata"].get("ownerReferences", []))


def _reason(pod: dict[str, Any]) -> str:
    """The first thing that holds a pod back, as precisely as Kubernetes says it."""
    status = pod["status"]
    for one in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        waiting = one["state"].get("waiting", {}).get("reason", "")
        ended = one["state"].get("terminated", {})
        if waiting and waiting not in ("PodInitializing", "ContainerCreating"):
            return f"{one['name']}: {waiting}"
        if ended and ended.get("exitCode"):
            return f"{one['name']}: ended with code {ended['exitCode']}"
        if not waiting and not ended and not one.get("ready"):
            return f"{one['name']}: starting"
    unmet = [one for one in status.get("conditions", []) if one["type"] == "PodScheduled" and one["status"] != "True"]
    return str(unmet[0].get("message", "not scheduled") if unmet else status.get("phase", "unknown"))


@contextmanager
def watched(kubectl: Kubectl) -> Iterator[None]:
    """Print which pods are not ready yet, whenever that changes, while the block runs."""
    over = threading.Event()
    thread = threading.Thread(target=_watch, args=(kubectl, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(15)


def _watch(kubectl: Kubectl, over: threading.Event) -> None:
    said = ""
    while not over.wait(EVERY):
        try:
            pods = kubectl.items("pods")
        except ClusterError:
            continue
        held = unready(pods)
        text = ", ".join(f"{name} ({reason})" for name, reason in sorted(held.items()))
        if text != said and not over.is_set():
            said = text
            console.print(
                f"  {len(pods) - len(held)} of {len(pods)} pods; waiting for: {text or 'nothing'}", markup=False
            )


def wait_ready(kubectl: Kubectl, *, seconds: float) -> None:
    """Return when every pod of an installed release is ready; raises `Fault` with what holds them back."""
    deadline = time.monotonic() + seconds
    while held := unready([pod for pod in kubectl.items("pods") if not of_a_job(pod)]):
        if time.monotonic() > deadline:
            msg = f"not ready within {seconds:.0f} s:\n{explained(kubectl, held)}"
            raise Fault(msg)
        time.sleep(EVERY)


def explained(kubectl: Kubectl, held: dict[str, str] | None = None) -> str:
    """Every pod that is not ready, with its reason and its last lines of log."""
    held = unready(kubectl.items("pods")) if held is None else held
    return "\n".join(f"{name}: {reason}\n{_tail(kubectl, name)}" for name, reason in sorted(held.items()))


def _tail(kubectl: Kubectl, name: str) -> str:
    arguments = ("--namespace", NAMESPACE, "--all-containers", "--prefix", f"--tail={LOG_LINES}")
    try:
        return kubectl.text("logs", name, *arguments)
    except ClusterError:
        return "  (no log)"
