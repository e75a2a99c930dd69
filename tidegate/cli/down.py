"""`tidegate down`: nothing is left but the cache.

Removes: our kind cluster and the engine we started, or, where `up` was given a context, the release and its namespaces
in that context. Again: what is gone already is no fault.
"""

from __future__ import annotations

import shutil

from tidegate.cli import release, state
from tidegate.cli.kubectl import Kubectl
from tidegate.cluster import cache, kind
from tidegate.progress import progress


def down(*, context: str | None = None) -> None:
    """Remove what `up` made, in the context named or else in the one that the last `up` used."""
    last = state.read().get("context")
    target = context or last
    if target and target != state.KIND_CONTEXT:
        with progress.phase(f"Uninstall Tidegate from {target}"):
            release.uninstall(Kubectl(target))
    if target in (None, state.KIND_CONTEXT):
        with progress.phase("Remove the cluster and what was started for it"):
            kind.down()
        shutil.rmtree(cache.folder("tmp"), ignore_errors=True)
    if target == last:
        (cache.root() / "run" / "up.json").unlink(missing_ok=True)
