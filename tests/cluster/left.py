"""What pods have left behind in Kubernetes: their logs.

Reads: the pods of a namespace through kubectl, in one call. Writes: nothing. Again: a pod that goes meanwhile is passed
over, since the release's own CronJobs make and remove some at any time.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidegate.cli.kubectl import Kubectl

EVERY_POD = ("--selector", "!tests.tidegate.dev/none", "--max-log-requests=1000")
WHOLE = ("--all-containers", "--tail=-1", "--prefix", "--ignore-errors")


def logs(kubectl: Kubectl, namespace: str) -> dict[str, str]:
    """Container, such as `pod/NAME/CONTAINER`, -> what it has printed."""
    return by_container(kubectl.text("logs", "--namespace", namespace, *EVERY_POD, *WHOLE).splitlines())


def by_container(lines: Iterable[str]) -> dict[str, str]:
    """The same, of lines `[pod/NAME/CONTAINER] text`; what kubectl says of a container that is gone is nobody's."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        where, _, text = line[1:].partition("] ") if line.startswith("[pod/") else ("", "", line)
        found[where].append(text)
    return {where: "\n".join(texts) for where, texts in found.items()}
