"""`tidegate dev`, and what `skaffold.yaml` calls: their arguments.

Standard output tells what was brought; progress goes to standard error.
"""

from __future__ import annotations

from typing import Annotated

import typer

from tidegate.cli import dev as loop
from tidegate.cli import skaffold as hooks

skaffold = typer.Typer(no_args_is_help=True, help="What skaffold.yaml calls; not meant to be typed.")


def dev(
    *,
    once: Annotated[bool, typer.Option("--once", help="Bring what differs now, and end.")] = False,
    context: Annotated[
        str | None, typer.Option("--context", help="kubeconfig context; default: that of the last `up`.")
    ] = None,
    registry: Annotated[
        str | None, typer.Option(help="Push images here, where the cluster is not kind's; default: the last `up`'s.")
    ] = None,
) -> None:
    """Bring every edit of a step or a pipeline into the cluster within seconds, until Ctrl-C."""
    way = loop.way(context=context, registry=registry)
    if not once:
        loop.watch(way)
    elif not loop.once(way):
        raise typer.Exit(1)


@skaffold.command("build")
def skaffold_build() -> None:
    """Build the image that $IMAGE names; push it if $PUSH_IMAGE is true, else bring it to its step's next pod."""
    hooks.build()


@skaffold.command("load")
def skaffold_load() -> None:
    """Load every image that the kind cluster lacks, before helm names them."""
    hooks.load()


@skaffold.command("dags")
def skaffold_dags() -> None:
    """Push the pipelines, if the release is there."""
    hooks.dags()
