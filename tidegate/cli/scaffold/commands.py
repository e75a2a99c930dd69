"""`tidegate new …`: the arguments, and what is printed.

Standard output tells what was written and what to type next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from tidegate.cli import table
from tidegate.cli.scaffold import checkout, pipeline, step
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

app = typer.Typer(no_args_is_help=True, help="Start a step or a pipeline of your own.")
out = Console(highlight=False)

NameArgument = Annotated[str, typer.Argument(help="In snake_case: a verb and what it is done to.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be written.")]


@app.command("step")
def new_step(
    name: NameArgument,
    about: Annotated[str, typer.Option(help="What it does, in one line.")] = step.ABOUT,
    dry_run: DryRunOption = False,
) -> None:
    """Write every place that a step needs: a small one that works, its image, tests, values and lists."""
    _write(step.files(ROOT, name, about=about), then=step.next_steps(name), dry_run=dry_run)


@app.command("pipeline")
def new_pipeline(
    name: NameArgument,
    uses: Annotated[str, typer.Option("--step", help="The step that it runs.")] = "hello",
    schedule: Annotated[str, typer.Option(help="As for cron, or such as @daily; default: on demand.")] = "",
    about: Annotated[str, typer.Option(help="What it does, in one line.")] = "",
    dry_run: DryRunOption = False,
) -> None:
    """Write every place that a pipeline needs: its DAG, its tests, its service account."""
    files = pipeline.files(ROOT, name, step=uses, schedule=schedule, about=about)
    _write(files, then=pipeline.next_steps(name), dry_run=dry_run)


def _write(files: Mapping[str, str], *, then: Sequence[tuple[str, str]], dry_run: bool) -> None:
    changed = checkout.changes(ROOT, files)
    if not dry_run:
        checkout.write(ROOT, changed)
    for one in sorted(changed, key=lambda one: (not one.new, one.path)):
        _line(f"{'new' if one.new else 'edited':<7} {one.path} ({one.added:+d} lines)")
    _line("nothing was written (--dry-run)" if dry_run else "\nNext:")
    for line in () if dry_run else table.columns(then):
        _line(f"  {line}")


def _line(text: str) -> None:
    out.print(text, markup=False, soft_wrap=True)
