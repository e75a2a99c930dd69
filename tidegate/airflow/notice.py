"""A word to a step before its pod is deleted: that a person, or the task's own timeout, ended the task for good.

Kubernetes sends the same SIGTERM for an eviction, after which the next try goes on. A step that has work elsewhere (a
job in a cloud) must tell the two apart: stopped, it ends that work; evicted, it leaves it to the next try. A step with
`cancelNotice` in the chart's values finds the word in the file that `$TIDEGATE_STOPPED_FILE` names, which is empty
until then. The kubelet brings an annotation there within a second or two, on a busy node later, and not at all once the
deletion has begun; so that waits for `SECONDS`.

Again: a pod that was told is told once more; nothing comes of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tidegate.airflow.identity import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidegate.airflow.kube import Pod, Pods

STOPPED = f"{PREFIX}stopped"
"""Annotation: why the task was stopped; the pod sees it as a file."""

VARIABLE = "TIDEGATE_STOPPED_FILE"
FOLDER, FILE = "/etc/tidegate", "stopped"

SECONDS = 10.0
"""From the word to the deletion."""


def dress(pod: Pod) -> None:
    """Let a pod see its own annotation as a file."""
    source = {"path": FILE, "fieldRef": {"fieldPath": f"metadata.annotations['{STOPPED}']"}}
    pod["metadata"]["annotations"][STOPPED] = ""
    pod["spec"]["volumes"].append({"name": "notice", "downwardAPI": {"items": [source]}})
    container = pod["spec"]["containers"][0]
    container["volumeMounts"].append({"name": "notice", "mountPath": FOLDER, "readOnly": True})
    container["env"].append({"name": VARIABLE, "value": f"{FOLDER}/{FILE}"})


async def tell(pods: Pods, told: Iterable[Pod], *, why: str) -> None:
    """Tell those of the pods that listen, and wait until they can know."""
    change: dict[str, Any] = {"metadata": {"annotations": {STOPPED: why}}}
    listening = [pod["metadata"]["name"] for pod in told if STOPPED in pod["metadata"].get("annotations", {})]
    for name in listening:
        await pods.patch(name, change)
    if listening:
        await asyncio.sleep(SECONDS)
