"""What `status`, `logs` and `images list` look up before they print it.

Reads: the release, pods, the REST API, the engine. Writes: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.cli import table
from tidegate.cluster import engine, images, standins

if TYPE_CHECKING:
    from rich.table import Table


def images_table(*, registry: str | None) -> Table:
    """Our images and others', with where each comes from."""
    ours = [(name, "built here", ref) for name, ref in images.references(registry=registry).items()]
    others = [(one.folder, _origin(one.ref), one.ref) for one in standins.ALL]
    return table.rows("Images", ("image", "comes from", "reference"), [*ours, *others])


def _origin(ref: str) -> str:
    """Where the engine's image of that name comes from; the nodes of a context that was named pull upstream's."""
    if engine.find() is None or not standins.exists(ref):
        return "upstream"
    return "stand-in, built here" if standins.is_standin(ref) else "upstream, pulled"
