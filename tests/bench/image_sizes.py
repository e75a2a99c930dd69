"""How big each image is, what it adds to the root of all, and what of it no other image shares.

Reads: the engine. Unpacked: what its files take on disk, by `du`. Layers: by Docker's history; an image has as many of
them as its history has instructions that touch files.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.bench import figures
from tests.bench.throwaway import BASE
from tests.images import sizes
from tidegate.cluster import commands, engine

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB = 2**20
LAYER = re.compile(r"RUN |COPY |ADD |WORKDIR ")
"""Instructions that make a layer even where it is empty."""


def measure(refs: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Image -> `unpacked` in MiB, its `budget` above the base, and its `layers`: digest -> bytes."""
    return {
        name: {"unpacked": sizes.unpacked(ref), "budget": sizes.budget(name), "layers": _layers(ref)}
        for name, ref in refs.items()
    }


def _layers(ref: str) -> dict[str, int]:
    inspect = [engine.docker(), "image", "inspect", "--format={{json .RootFS.Layers}}", ref]
    shape = "--format={{.Size}} {{.CreatedBy}}"
    history = commands.output([engine.docker(), "history", "--human=false", "--no-trunc", shape, ref])
    return layers(json.loads(commands.output(inspect)), history)


def layers(digests: list[str], history: str) -> dict[str, int]:
    """Digest -> bytes of each layer; the history's newest line comes first, the layers' oldest."""
    lines = [line.partition(" ") for line in reversed(history.splitlines()) if line.strip()]
    found = [int(size) for size, _, made_by in lines if int(size) or LAYER.match(made_by)]
    if len(found) != len(digests):
        raise AssertionError(f"{len(digests)} layers and a history of {len(found)}:\n{history}")
    return dict(zip(digests, found, strict=True))


def own(found: Mapping[str, dict[str, Any]]) -> dict[str, int]:
    """Image -> bytes of the layers that no other image of these has."""
    users = Counter(digest for one in found.values() for digest in one["layers"])
    return {
        name: sum(size for digest, size in one["layers"].items() if users[digest] == 1) for name, one in found.items()
    }


def show(found: dict[str, dict[str, Any]]) -> str:
    """The part of the report."""
    alone, root = own(found), found[BASE]["unpacked"]
    rows = [
        [name, f"{one['unpacked']:.0f}", *_goal(one, root), f"{alone[name] / MIB:.1f}"] for name, one in found.items()
    ]
    apart = sum(size for one in found.values() for size in one["layers"].values())
    shared = sum({digest: size for one in found.values() for digest, size in one["layers"].items()}.values())
    headings = ["image", "unpacked", f"over `{BASE}`", "goal: at most", "met", "in layers of its own"]
    return "\n\n".join(
        [
            f"Sizes in MiB. Layers of its own are all that an image costs where the {len(found) - 1} others are.",
            figures.table(headings, rows),
            f"All {len(found)} have {shared / MIB:.0f} MiB of layers; unshared they would have {apart / MIB:.0f}.",
        ]
    )


def _goal(one: dict[str, Any], root: float) -> list[str]:
    added, most = one["unpacked"] - root, one["budget"]
    return [f"{added:.0f}", str(most or ""), "" if most is None else "yes" if added <= most else "no"]
