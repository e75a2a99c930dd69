"""What a node's containerd keeps, kept from one cluster to the next: images that are there need not be sent again.

Reads: the node image, the checkout. Writes: `<cache>/nodes/<cluster>`, which the node has as `/var/lib/containerd`.
Again: the containers of the cluster before are taken out of it, and images of ours that the checkout does not give any
more. It is begun anew for another node image, after a stand-in was built anew (its name stays the same), and after a
cluster that could not be brought back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tidegate.cluster import cache, commands, engine, layers, nodes
from tidegate.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

INSIDE: Final = "/var/lib/containerd"
MADE_FOR: Final = ".made-for"
"""File with the node image's id, written last: without it the folder is not used."""
PREPARE: Final = r"""
kept=/kept
if [ "$(cat "$kept/$MADE_FOR" 2>/dev/null)" != "$NODE" ]; then
  find "$kept" -mindepth 1 -delete
  cp --archive "$INSIDE/." "$kept/"
  echo "$NODE" > "$kept/$MADE_FOR"
  exit
fi
rm -rf "$kept/io.containerd.grpc.v1.cri" "$kept/io.containerd.runtime.v2.task"
mount --bind "$kept" "$INSIDE"
containerd > /tmp/containerd.log 2>&1 &
tries=0
until ctr version > /dev/null 2>&1; do
  tries=$((tries + 1))
  if [ "$tries" -gt 100 ]; then cat /tmp/containerd.log >&2; exit 1; fi
  sleep 0.1
done
$CTR containers ls --quiet | xargs --no-run-if-empty $CTR containers rm
$CTR images ls --quiet | grep '^docker.io/tidegate/' | grep -vxF "$IMAGES" |
  xargs --no-run-if-empty $CTR images rm > /dev/null
kill $!
wait $! || true
"""
"""Runs in a container of the node image with the folder at `/kept`: fills it, or clears it of the cluster before.

`$NODE` is the node image's id, `$IMAGES` a line for each image that may stay; the rest is what is named here.
"""


def ready(cluster: str, image: str, *, refs: Iterable[str]) -> Path | None:
    """The folder for a node that is about to be made, or None where an engine that we did not start makes it.

    Such an engine may be on another machine, or the cache in a place that cannot hold layers.

    Args:
        cluster: Name of the kind cluster, none of whose nodes runs.
        image: The node's.
        refs: Images of ours that may stay.

    Raises:
        CommandFailed: The folder cannot be written, or containerd does not start on it.
    """
    if not engine.was_started():
        return None
    folder = cache.folder("nodes", cluster)
    node = commands.output([engine.docker(), "image", "inspect", "--format={{.Id}}", image]).strip()
    known = "\n".join(sorted(map(layers.containerd_name, refs)))
    given = {"NODE": node, "IMAGES": known, "INSIDE": INSIDE, "MADE_FOR": MADE_FOR, "CTR": nodes.CTR}
    command = [engine.docker(), "run", "--rm", "--privileged", f"--volume={folder}:/kept"]
    command += [f"--env={name}={text}" for name, text in given.items()]
    command += ["--entrypoint=/bin/sh", image, "-euc", PREPARE]
    with progress.phase("Prepare what the node keeps of images"):
        commands.run(command, log="kept-images")
    return folder


def begin_anew(cluster: str = "*") -> None:
    """Have this cluster, or every one, take all images in again when it is made the next time."""
    for made_for in cache.folder("nodes").glob(f"{cluster}/{MADE_FOR}"):
        made_for.unlink(missing_ok=True)
