"""`tidegate images …`: the images that an install needs; their arguments, and what is printed.

Standard output carries references and tables; progress goes to standard error.
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from tidegate.cli import listing
from tidegate.cluster import images, kind

app = typer.Typer(no_args_is_help=True, help="The images of `skaffold.yaml`.")
out = Console(highlight=False)


@app.command("build")
def images_build(
    registry: Annotated[str | None, typer.Option(help="Name them for this registry, and push them to it.")] = None,
) -> None:
    """Build what the engine lacks, and print every reference."""
    refs = images.build(registry=registry)
    if registry:
        images.push(refs.values())
    for ref in refs.values():
        out.print(ref, soft_wrap=True)


@app.command("list")
def images_list(
    registry: Annotated[str | None, typer.Option(help="Name them for this registry.")] = None,
) -> None:
    """Show every image: ours, and those of others with what stands in for them."""
    out.print(listing.images_table(registry=registry))


@app.command("load")
def images_load() -> None:
    """Build what is missing, and bring it into the kind cluster."""
    loaded = images.load(images.build().values(), cluster=kind.NAME)
    out.print("\n".join(loaded) or "the cluster has them all", soft_wrap=True)
