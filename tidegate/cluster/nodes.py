"""What the nodes of a kind cluster hold, and how images come into them.

Reads and writes: containerd in each node, by `docker exec`. Images come in without the engine between, where the node
is this machine's and we are root: sending them through it costs as much as taking them in. kind's own `load` brings
whole images; a node that has most of an image's layers gets only the others here, by the command that kind runs too
(`nodeutils.LoadImageArchive`).
Again: a layer that is there is not sent. containerd keeps a layer as long as an image names it, whichever brought it.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tidegate.cluster import commands, engine, layers, programs

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

CTR: Final = "ctr --namespace=k8s.io"
APART: Final = "--"
ASK: Final = f"{CTR} images ls -q && echo {APART} && {CTR} content ls -q"
PROCESSES: Final = Path("/proc")
SOCKET: Final = "run/containerd/containerd.sock"
IMPORT: Final = f"{CTR} images import --all-platforms --snapshotter=overlayfs -"


@dataclass(frozen=True)
class Held:
    """What one node has."""

    images: frozenset[str]
    """With their registry, such as `docker.io/tidegate/hello:0123456789ab`."""
    blobs: frozenset[str]
    """`sha256:` and 64 hex digits each; layers among them."""


def of(cluster: str) -> list[str]:
    """The containers that are the cluster's nodes."""
    command = [str(programs.program("kind")), "get", "nodes", f"--name={cluster}"]
    return commands.output(command, env=engine.environment()).split()


def held(node: str) -> Held:
    """Ask a node what it has."""
    images, _, blobs = commands.output([engine.docker(), "exec", node, "sh", "-c", ASK]).partition(f"{APART}\n")
    return Held(frozenset(images.split()), frozenset(blobs.split()))


def bring(node: str, images: Sequence[layers.Stored], *, without: Collection[str]) -> None:
    """Import images into a node, except for layers that it has.

    Raises:
        CommandFailed: It lacks one of those layers after all, or has no room.
        OSError: A layer cannot be read.
    """
    archive = layers.archive(images, without=without)
    commands.run([*within(node), *IMPORT.split()], log="load-images", stdin=archive)


def within(node: str, *, processes: Path = PROCESSES) -> list[str]:
    """What comes before a command so that it runs in a node: beside its containerd, or by way of the engine."""
    pid = commands.output([engine.docker(), "inspect", "--format={{.State.Pid}}", node]).strip()
    root = processes / pid / "root"
    with suppress(OSError):  # the engine is on another machine, or what it runs is not ours to enter
        ours = (root / "etc" / "hostname").read_text().strip() == node and (root / SOCKET).is_socket()
        if ours and shutil.which("nsenter"):
            return ["nsenter", f"--target={pid}", "--mount", "--"]
    return [engine.docker(), "exec", "--interactive", node]
