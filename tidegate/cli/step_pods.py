"""The pods that steps ran in.

Reads: pods in the steps' namespace, found by the exact ids in their annotations. Writes: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegate.cli.kubectl import STEPS_NAMESPACE

if TYPE_CHECKING:
    from tidegate.cli.kubectl import Kubectl

OURS = "app.kubernetes.io/managed-by=tidegate"
ID = "tidegate.dev/{}-id"
"""Annotation with the exact id of a dag, run or task; labels may have to shorten it."""


def of_steps(kubectl: Kubectl, **ids: str) -> list[dict[str, Any]]:
    """The pods with these ids, such as `dag="petrol", task="train_model"`; newest last."""
    wanted = {ID.format(kind): value for kind, value in ids.items()}
    found = kubectl.items("pods", "--selector", OURS, namespace=STEPS_NAMESPACE)
    matching = [pod for pod in found if wanted.items() <= pod["metadata"].get("annotations", {}).items()]
    return sorted(matching, key=lambda pod: pod["metadata"]["creationTimestamp"])


def log_command(kubectl: Kubectl, pod: dict[str, Any]) -> str:
    """What to type to read a pod's log."""
    return f"kubectl --context {kubectl.context} --namespace {STEPS_NAMESPACE} logs {pod['metadata']['name']}"
