"""The release of `make up` with other values for a while.

Reads: the release's revisions, as helm keeps them in Secrets. Writes: revisions of it. Again: the same.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tidegate.cli import pods, release
from tidegate.cluster import chart, commands
from tidegate.cluster.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tidegate.cli.kubectl import Kubectl

HELM_SECONDS, READY_SECONDS = 1300, 900.0
WAIT = ("--wait", "--timeout=20m", "--force-conflicts")
"""Other tests scale what is the release's: helm takes that back, as `tidegate up` has it do."""


def helm(kubectl: Kubectl, *words: str) -> str:
    """What one call of helm on our release prints."""
    return commands.output([program("helm"), *words, *release.where(kubectl)], timeout=HELM_SECONDS)


def newest(kubectl: Kubectl) -> str:
    """The number of the revision that is installed."""
    secrets = kubectl.items("secrets", "--selector", f"owner=helm,name={release.NAME},status=deployed")
    return str(max(int(secret["metadata"]["labels"]["version"]) for secret in secrets))


@contextmanager
def changed(kubectl: Kubectl, values: Path) -> Iterator[None]:
    """The release with this values file on top while the block runs, rolled back afterwards; all its pods are ready."""
    before = newest(kubectl)
    found, _ = chart.find_airflow_chart()
    words = (str(chart.stage(found)), "--reset-then-reuse-values", f"--values={values}")
    try:
        helm(kubectl, "upgrade", release.NAME, *words, *WAIT)
        pods.wait_ready(kubectl, seconds=READY_SECONDS)
        yield
    finally:
        helm(kubectl, "rollback", release.NAME, before, *WAIT)
        pods.wait_ready(kubectl, seconds=READY_SECONDS)
