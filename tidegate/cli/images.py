"""`tidegate images …`: the images that an install needs; their arguments, and what is printed.

Standard output carries references, tables and JSON; progress goes to standard error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml
from rich.console import Console

from tidegate.cli import needed_images, release, table
from tidegate.cli.fault import Fault
from tidegate.cluster import engine, images, kind, mirror, standins

if TYPE_CHECKING:
    from tidegate.cli.needed_images import Needed

app = typer.Typer(no_args_is_help=True, help="The images that an install needs.")
out = Console(highlight=False)

ValuesOption = Annotated[
    list[Path], typer.Option("--values", help="A values file of yours, as for helm; may be given often.")
]


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


@app.command("values")
def images_values(
    registry: Annotated[str | None, typer.Option(help="Name them for this registry, as `build` does.")] = None,
) -> None:
    """Print the values file that names every image of ours by its content, for `helm upgrade --install --values`."""
    typer.echo(yaml.safe_dump(release.values(images.references(registry=registry)), sort_keys=False), nl=False)


@app.command("list")
def images_list(
    registry: Annotated[str | None, typer.Option(help="Show what `mirror` calls them in this registry.")] = None,
    values: ValuesOption = [],  # noqa: B006 - typer's own way to say none
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Show every image that an install needs, with its exact tag: ours, and those of others."""
    found = needed_images.needed(values=values)
    lines = [(one.name, _origin(one), _ref(one, registry)) for one in found]
    if as_json:
        names = ("image", "comes_from", "reference")
        out.print_json(data=[dict(zip(names, line, strict=True)) for line in lines])
    else:
        out.print(table.rows("Images", ("image", "comes from", "reference"), lines))


def _ref(one: Needed, registry: str | None) -> str:
    return mirror.named(one.ref, registry) if registry else one.ref


def _origin(one: Needed) -> str:
    """Where the engine's image of that name comes from; the nodes of a context that was named pull upstream's."""
    if one.comes_from == needed_images.BUILT or engine.find() is None or not standins.exists(one.ref):
        return one.comes_from
    return "stand-in, built here" if standins.is_standin(one.ref) else "upstream, pulled"


@app.command("mirror")
def images_mirror(
    registry: Annotated[str, typer.Argument(help="Such as registry.example/mirror; sign in to it before.")],
    values: ValuesOption = [],  # noqa: B006 - see above
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be copied.")] = False,
) -> None:
    """Copy every image that an install needs into one registry; exit code 1 where one could not be copied."""
    found = needed_images.needed(values=values)
    if dry_run:
        _lines([(one.ref, mirror.named(one.ref, registry)) for one in found])
        return
    ours = [one for one in found if one.comes_from == needed_images.BUILT]
    if ours and engine.find() is not None:
        images.build()
    _told(mirror.mirror([one.ref for one in found], registry), registry)


def _told(copied: list[mirror.Copied], registry: str) -> None:
    _lines([(one.target, "FAILED" if one.fault else _kind(one), one.fault) for one in copied])
    if failed := [one for one in copied if one.fault]:
        msg = (
            f"{len(failed)} of {len(copied)} could not be copied; call it again once that is mended: the rest is there"
        )
        raise Fault(msg)
    out.print(f"\nNow set `global.imageRegistry: {registry.rstrip('/')}` in your values.", soft_wrap=True)


def _kind(one: mirror.Copied) -> str:
    return "copied, a stand-in: this machine could not have upstream's" if one.stand_in else "copied"


def _lines(lines: list[tuple[str, ...]]) -> None:
    for line in table.columns(lines):
        out.print(line, markup=False, soft_wrap=True)


@app.command("load")
def images_load() -> None:
    """Build what is missing, and bring it into the kind cluster."""
    loaded = images.load(images.build().values(), cluster=kind.NAME)
    out.print("\n".join(loaded) or "the cluster has them all", soft_wrap=True)
