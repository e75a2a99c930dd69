"""What a node keeps of images is there for the next one, and nothing else of the cluster before."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tidegate.cluster import cache, commands, engine, kept_images, kind, node_image
from tidegate.cluster.nodes import CTR

if TYPE_CHECKING:
    from collections.abc import Iterator

CLUSTER = "kept-images-test"
STARTED = "containerd > /dev/null 2>&1 & until ctr version > /dev/null 2>&1; do sleep 0.1; done;"
KNOWN, UNKNOWN = "docker.io/tidegate/hello:1", "docker.io/tidegate/hello:2"


@pytest.fixture(scope="module")
def node() -> str:
    engine.ensure()
    if kind.mode() != "airgap":
        pytest.skip("optional: images come from registries here, and stay in the engine")
    if not engine.was_started():
        pytest.skip("optional: the engine was not started by us, so nothing is kept")
    return node_image.ensure()


@pytest.fixture
def in_node(node: str) -> Iterator[None]:
    yield
    shutil.rmtree(cache.root() / "nodes" / CLUSTER, ignore_errors=True)


def within(node: str, *lines: str) -> list[str]:
    """What the last of some commands prints, in a node with the folder as it is now."""
    folder = cache.root() / "nodes" / CLUSTER
    script = " ".join([STARTED, *(f"{line} > /dev/null;" for line in lines[:-1]), lines[-1]])
    command = [engine.docker(), "run", "--rm", "--privileged", f"--volume={folder}:{kept_images.INSIDE}"]
    return commands.output([*command, "--entrypoint=/bin/sh", node, "-euc", script], timeout=60).split()


@pytest.mark.usefixtures("in_node")
def test_images_stay_as_long_as_the_checkout_gives_them_and_containers_never(node: str) -> None:
    assert kept_images.ready(CLUSTER, node, refs=[]) == cache.root() / "nodes" / CLUSTER
    own = within(node, f"{CTR} images ls --quiet")
    pause = next(name for name in own if "/pause:" in name)
    tags = [f"{CTR} images tag {pause} {name}" for name in (KNOWN, UNKNOWN)]
    made = f"{CTR} containers create --snapshotter=overlayfs {UNKNOWN} left"
    assert within(node, *tags, made, f"{CTR} containers ls --quiet") == ["left"]

    kept_images.ready(CLUSTER, node, refs=["tidegate/hello:1"])
    assert sorted(within(node, f"{CTR} images ls --quiet")) == sorted([*own, KNOWN])
    assert within(node, f"{CTR} containers ls --quiet") == []

    kept_images.begin_anew(CLUSTER)
    kept_images.ready(CLUSTER, node, refs=["tidegate/hello:1"])
    assert sorted(within(node, f"{CTR} images ls --quiet")) == sorted(own)
