"""What pods have left behind in Kubernetes: their logs.

Reads: the pods of a namespace through kubectl. Writes: nothing. Again: a pod that goes meanwhile is passed over, since
the release's own CronJobs make and remove some at any time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.cluster.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.cli.kubectl import Kubectl


def logs(kubectl: Kubectl, namespace: str) -> Iterator[tuple[str, str]]:
    """Name of each pod, and what all its containers have printed."""
    options = ("--namespace", namespace, "--all-containers", "--ignore-errors")
    for pod in kubectl.items("pods", namespace=namespace):
        name = pod["metadata"]["name"]
        try:
            printed = kubectl.text("logs", name, *options)
        except CommandFailed as fault:
            if "(NotFound)" not in str(fault):
                raise
            continue
        yield name, printed
