"""`tidegate dev`: what is edited here reaches the next pod, or the scheduler, in seconds.

Reads: the checkout; which images the release runs. Writes: the pipelines on the git server; images in the engine and in
the cluster's nodes (or in a registry); `image` of the steps in the ConfigMap that Airflow reads when it starts a pod.
No release is upgraded: `tidegate up` writes the same names later. Again: what the cluster has already is left alone.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from rich.console import Console

from tidegate.cli import live_steps, release, state
from tidegate.cli.fault import Fault
from tidegate.cli.git_push import push_dags
from tidegate.cli.kubectl import Kubectl
from tidegate.cluster import images
from tidegate.cluster.errors import ClusterError
from tidegate.cluster.project import ROOT
from tidegate.progress import console

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Set
    from pathlib import Path

out = Console(highlight=False)

KIND: Final = "kind-"
"""What kind puts before a cluster's name to make its context."""
WATCHED: Final = {
    "pipelines": ("dags",),
    "images": ("jobs", "tidegate", "images", "skaffold.yaml"),
    "the chart": ("helm",),
}
"""What is brought, and how people call it -> where it comes from."""
ALL: Final = tuple(WATCHED)
EVERY: Final = 0.3
"""Seconds between looks at the files; a change is taken up once two looks agree: editors write in several goes."""
BY_UP: Final = "changed; `make up` brings it"

Look = dict[str, frozenset[tuple[str, int, int]]]
"""Group of `WATCHED` -> path, time of the last change in nanoseconds and bytes of every file."""


@dataclass(frozen=True)
class Way:
    """How images come into the cluster."""

    kubectl: Kubectl
    registry: str | None = None
    """None where the cluster is kind's."""

    @property
    def cluster(self) -> str:
        """Name of the kind cluster."""
        return self.kubectl.context.removeprefix(KIND)


def way(*, context: str | None = None, registry: str | None = None) -> Way:
    """The way into the cluster of that context, or of the last `up`.

    Raises:
        Fault: Its nodes cannot be loaded and no registry is known; or Tidegate is not installed there.
    """
    kubectl = Kubectl(state.context(context))
    if registry is None and kubectl.context == state.read().get("context"):
        registry = state.read().get("registry") or None
    if registry is None and not kubectl.context.startswith(KIND):
        msg = f"{kubectl.context} is no kind cluster: name the registry that its nodes pull from by --registry"
        raise Fault(msg)
    try:
        live_steps.images(kubectl)
    except ClusterError as error:
        msg = f"Tidegate does not answer in {kubectl.context}; `make up` installs it\n{error}"
        raise Fault(msg) from error
    return Way(kubectl, registry)


def once(way: Way, groups: Collection[str] = ALL) -> bool:
    """Bring what differs; False where something could not be brought, which is told."""
    with ThreadPoolExecutor(1) as beside:
        pushed = beside.submit(_told, partial(_dags, way)) if "pipelines" in groups else None
        done = _told(partial(_images, way)) if "images" in groups else True
        return done and (pushed is None or pushed.result())


def watch(way: Way, *, every: float = EVERY, root: Path = ROOT) -> None:
    """Bring what differs now and whatever changes from now on, until Ctrl-C."""
    try:
        seen = look(root)
        once(way)
        _say("watching " + ", ".join(part for parts in WATCHED.values() for part in parts) + "; Ctrl-C ends it")
        while True:
            time.sleep(every)
            now = _settled(root, every) if look(root) != seen else seen
            changed = [group for group in WATCHED if now[group] != seen[group]]
            seen = now
            if "the chart" in changed:
                _say(f"the chart {BY_UP}")
            once(way, changed)
    except KeyboardInterrupt:
        _say("\nended; what was brought stays")


def look(root: Path = ROOT) -> Look:
    """How the files are now; leftovers of Python and of editors are no files."""
    return {group: frozenset(_files(root, parts)) for group, parts in WATCHED.items()}


def _files(root: Path, parts: Collection[str]) -> list[tuple[str, int, int]]:
    found = []
    for part in parts:
        for path in (root / part, *(root / part).rglob("*")):
            if set(images.LEFTOVERS) & set(path.parts) or path.name.startswith(".") or path.name.endswith("~"):
                continue
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if path.is_file():
                found.append((str(path), status.st_mtime_ns, status.st_size))
    return found


def _settled(root: Path, every: float) -> Look:
    before = look(root)
    while True:
        time.sleep(every)
        now = look(root)
        if now == before:
            return now
        before = now


def _told(bring: Callable[[], bool]) -> bool:
    """Do it; a fault is printed, and the loop goes on: the next edit may mend it."""
    try:
        return bring()
    except ClusterError as error:
        console.print(f"[bold red]error[/bold red] {_plain(error)}", soft_wrap=True)
        return False


def _plain(error: ClusterError) -> str:
    return str(error).replace("[", "\\[")


def _dags(way: Way) -> bool:
    start = time.monotonic()
    if commit := push_dags(way.kubectl, ROOT / "dags"):
        _say(f"pipelines: commit {commit[:12]} is on the git server", since=start)
    return True


def _images(way: Way) -> bool:
    """Bring the steps whose files changed, one after the other: the first is there before the last is built."""
    refs = images.references(registry=way.registry)
    steps, now = release.steps(refs), live_steps.images(way.kubectl)
    for name in _behind(way, refs, steps.keys(), now.keys()):
        _say(f"{name} {BY_UP}")
    changed = [name for name in steps if now.get(name, steps[name]) != steps[name]]
    done = [_told(partial(_step, way, name)) for name in changed]
    return all(done)


def _step(way: Way, name: str) -> bool:
    start = time.monotonic()
    ref = images.build(registry=way.registry, only=[name])[name]
    if way.registry:
        images.push([ref])
    else:
        images.load([ref], cluster=way.cluster)
    live_steps.set_images(way.kubectl, {name: ref})
    _say(f"{name}: its next pod runs {ref}", since=start)
    return True


def _behind(way: Way, refs: Mapping[str, str], steps: Set[str], known: Set[str]) -> list[str]:
    """Images that run all the time and are other ones here, and steps that the release does not have."""
    running = release.images(way.kubectl)
    others = {name: ref for name, ref in refs.items() if name not in steps}
    deployed = {ref.rpartition(":")[0] for ref in running}
    return [
        *(name for name, ref in others.items() if ref not in running and ref.rpartition(":")[0] in deployed),
        *sorted(steps - known),
    ]


def _say(text: str, *, since: float | None = None) -> None:
    took = f" ({time.monotonic() - since:.1f} s)" if since is not None else ""
    out.print(f"{text}{took}", markup=False, soft_wrap=True)
