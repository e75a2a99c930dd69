"""Which image each step's next pod gets: the ConfigMap `tidegate-steps`, which Airflow reads when it starts a pod.

Reads and writes: `image` in the entries of that ConfigMap, and nothing else of it. Again: an entry that names the image
already is left alone. The chart writes the same entries: an upgrade puts its own images there, and finds no other owner
of these fields, which helm 4 would refuse to overrule.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tidegate.cli.kubectl import STEPS_NAMESPACE
from tidegate.cluster.errors import ClusterError, CommandFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegate.cli.kubectl import Kubectl

CONFIG_MAP = "tidegate-steps"
MANAGER = "tidegate-dev"
"""How the API server calls us among those who own fields."""


def exists(kubectl: Kubectl) -> bool:
    """Tell whether Tidegate is installed there; a cluster that does not answer is a no."""
    try:
        return bool(images(kubectl))
    except ClusterError:
        return False


def images(kubectl: Kubectl) -> dict[str, str]:
    """Step -> the image of its next pod.

    Raises:
        CommandFailed: There is no such ConfigMap, or no cluster.
    """
    entries = _read(kubectl)["data"]
    return {name: json.loads(text)["image"] for name, text in entries.items() if not name.startswith("_")}


def set_images(kubectl: Kubectl, refs: Mapping[str, str]) -> list[str]:
    """Give the next pods of these steps these images; the names of steps whose image is another now.

    Steps that the release does not have are passed over.

    Raises:
        CommandFailed: Somebody else changed the ConfigMap at that moment.
    """
    found = _read(kubectl)
    entries = {name: json.loads(text) for name, text in found["data"].items() if name in refs}
    changed = [name for name, entry in entries.items() if entry["image"] != refs[name]]
    if changed:
        data = {name: json.dumps(entries[name] | {"image": refs[name]}, separators=(",", ":")) for name in changed}
        patch = {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, "data": data}
        _patch(kubectl, patch)
        _disown(kubectl)
    return changed


def _disown(kubectl: Kubectl) -> None:
    """Give the fields back; what a fault leaves is owned until the next time."""
    with suppress(CommandFailed):
        metadata = _read(kubectl)["metadata"]
        others = [one for one in metadata["managedFields"] if one["manager"] != MANAGER]
        _patch(kubectl, {"metadata": {"resourceVersion": metadata["resourceVersion"], "managedFields": others}})


def _patch(kubectl: Kubectl, patch: dict[str, Any]) -> None:
    where = ["--namespace", STEPS_NAMESPACE, CONFIG_MAP, "--type=merge", f"--field-manager={MANAGER}"]
    kubectl.text("patch", "configmap", *where, f"--patch={json.dumps(patch)}")


def _read(kubectl: Kubectl) -> dict[str, Any]:
    return kubectl.read("configmap", CONFIG_MAP, "--show-managed-fields", namespace=STEPS_NAMESPACE)
