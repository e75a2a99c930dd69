"""`tidegate ledger …`: what ran, what was skipped and why, and keeping it in order.

Reads: the database that `$TIDEGATE_LEDGER_URL` names, see `address`, unless who mounts `app` sets another `WAY`.
Prints tables for people, or JSON with `--json`.
Exit code 1 with one clear line where something cannot be done. `app` is mounted by the command `tidegate`.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tidegate.ledger import report, rows, upkeep
from tidegate.ledger.address import from_environment
from tidegate.ledger.errors import LedgerError
from tidegate.ledger.explain import nearest, told
from tidegate.ledger.ledger import Ledger
from tidegate.ledger.migrate import migrate as run_migrations
from tidegate.ledger.model import State  # noqa: TC001 - typer reads it
from tidegate.ledger.verify import NoStores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from tidegate.ledger.model import Row

app = typer.Typer(no_args_is_help=True, help="What ran, what was skipped and why. Reads $TIDEGATE_LEDGER_URL.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output instead of a table.")]
Number = Annotated[int, typer.Argument(help="The row's number, as `tidegate ledger list` shows it.", metavar="ROW")]
Pipeline = Annotated[str, typer.Option(help="Only rows of this pipeline (DAG id).", metavar="DAG")]
StepName = Annotated[str, typer.Option("--step", help="Only rows of this step.", metavar="STEP")]

WAY: ContextVar[Callable[[], AbstractContextManager[str]]] = ContextVar("way")
"""How a command comes to the ledger's address, open for as long as it needs it; from the environment unless set."""

SHOWN = ("id", "pipeline", "task_id", "step", "state", "attempt", "reason", "datetime_started", "seconds", "summary")
"""Columns of `list`."""

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@app.command("list")
def list_(
    *,
    pipeline: Pipeline = "",
    step: StepName = "",
    state: Annotated[State | None, typer.Option(help="Only rows in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many rows, the newest.")] = 20,
    as_json: Json = False,
) -> None:
    """Show the newest rows: what ran, how it ended, and why it had to run."""
    filters = _filters(pipeline=pipeline, step=step, state=state or "")
    with _ledger() as ledger:
        found = ledger.do(lambda tx: rows.matching(tx, filters, limit=limit))
    _print_rows(found, as_json=as_json, empty="no rows; run something, or loosen the filters")


@app.command()
def uses(
    *,
    pipeline: Pipeline = "",
    step: StepName = "",
    run: Annotated[str, typer.Option(help="Only tries of this run.", metavar="RUN_ID")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many tries, the newest.")] = 50,
    as_json: Json = False,
) -> None:
    """Show what each task's try got: it ran, used a result or waits; and what the hits saved."""
    filters = _filters(pipeline=pipeline, step=step, run_id=run)
    with _ledger() as ledger:
        found = ledger.do(report.uses(filters, limit=limit))
    saved = report.savings(found)
    if as_json:
        _print_json({"uses": [_plain_use(use) for use in found], "saved": vars(saved)})
        return
    table = Table("decided", "pipeline", "run", "task", "verdict", "row", "saved seconds", box=None)
    for use in found:
        cells = (use.decided, use.task.pipeline, use.task.run_id, use.task.task_id, use.verdict, use.row.id)
        table.add_row(*map(_cell, (*cells, use.saved_seconds)))
    Console().print(table)
    Console().print(f"hits saved {saved.pods} pods and {saved.seconds:.0f} s")


@app.command()
def show(number: Number, *, as_json: Json = False) -> None:
    """Show all that is known of one row: parameters, inputs, outputs, metrics, pod, log."""
    with _ledger() as ledger:
        row = ledger.do(lambda tx: rows.by_id(tx, number))
    if as_json:
        _print_json(plain(row))
        return
    table = Table(show_header=False, box=None)
    for name, value in plain(row).items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        table.add_row(name, escape(text))
    Console().print(table)


@app.command()
def explain(number: Number, *, as_json: Json = False) -> None:
    """Say why a row ran: the recorded reason, and what differs from the nearest earlier row of its step."""
    with _ledger() as ledger:
        row = ledger.do(lambda tx: rows.by_id(tx, number))
        earlier = ledger.do(lambda tx: rows.before(tx, row.step, below=row.id))
    found, changes = nearest(row.parts, earlier)
    if as_json:
        listed = [vars(change) for change in changes]
        answer = {"row": row.id, "reason": row.reason, "detail": row.detail, "nearest": found.id if found else None}
        _print_json(answer | {"differences": listed})
        return
    reason = f"{row.reason}: {row.detail}" if row.detail else row.reason
    Console().print(escape(f"row {row.id} of {row.step} ran because: {reason}"), soft_wrap=True)
    Console().print(escape(f"compared: {told(found, changes)}"), soft_wrap=True)


@app.command()
def invalidate(
    number: Annotated[
        int | None, typer.Argument(help="A row; all results of the same work go.", metavar="[ROW]")
    ] = None,
    *,
    key: Annotated[str, typer.Option(help="All results of this key.")] = "",
    pipeline: Pipeline = "",
    step: StepName = "",
    why: Annotated[str, typer.Option(help="Kept with the rows, and shown when the step runs again.")] = "by hand",
    as_json: Json = False,
) -> None:
    """Make results worthless: the next run of the same work runs again. No object is deleted."""
    filters = _filters(key=key, pipeline=pipeline, step=step)
    if number is not None and filters:
        raise typer.BadParameter("give a row or filters, not both")
    with _ledger() as ledger:
        chosen = upkeep.invalidate(filters, why=why) if number is None else upkeep.invalidate_row(number, why=why)
        found = ledger.do(chosen)
    _print_rows(found, as_json=as_json, empty="nothing to invalidate: no succeeded row fits")


@app.command()
def gc(
    *,
    older_than: Annotated[str, typer.Option(help="Ended and last used so long ago: 12h, 90d, 8w.")] = "90d",
    hits: Annotated[
        bool, typer.Option("--hits", help="Also rows that the next run of the same work would use.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Remove old rows that no run would use any more. No object is deleted."""
    operation = upkeep.gc(older_than=duration(older_than), also_hits=hits, dry_run=dry_run)
    with _ledger() as ledger:
        found = ledger.do(operation)
    _print_rows(found, as_json=as_json, empty="nothing to remove")


@app.command()
def migrate(*, as_json: Json = False) -> None:
    """Bring the ledger's tables to this version; run again it does nothing, two at once wait for each other."""
    with _faults_told(), WAY.get(_from_environment)() as address:
        done = run_migrations(address)
    if as_json:
        _print_json(vars(done))
    elif done.ahead:
        Console().print(f"the ledger is at version {done.now}, of a newer program, and left as it is")
    elif done.was == done.now:
        Console().print(f"the ledger is at version {done.now} already")
    else:
        Console().print(f"the ledger is at version {done.now} now, was {done.was or 'empty'}")


def duration(text: str) -> timedelta:
    """`12h` or `90d` as a time."""
    if not (found := re.fullmatch(r"(\d{1,5})([mhdw])", text)):
        raise typer.BadParameter(f"{text!r} is no time; want a number and m, h, d or w, like 90d")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def plain(row: Row) -> dict[str, Any]:
    """A row as JSON can hold it."""
    values: dict[str, Any] = vars(row) | {"outputs": [vars(output) for output in row.outputs], "seconds": row.seconds}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


@contextmanager
def _ledger() -> Iterator[Ledger]:
    with _faults_told(), WAY.get(_from_environment)() as address:
        ledger = Ledger(address, probe=NoStores())
        try:
            yield ledger
        finally:
            ledger.shut()


@contextmanager
def _from_environment() -> Iterator[str]:
    yield from_environment(os.environ)


@contextmanager
def _faults_told() -> Iterator[None]:
    """What the ledger refuses ends in one line, not in a traceback."""
    try:
        yield
    except LedgerError as error:
        Console(stderr=True).print(f"[red]ledger:[/red] {escape(str(error))}", soft_wrap=True, highlight=False)
        raise typer.Exit(1) from None


def _filters(**values: str) -> Mapping[str, str]:
    return {name: value for name, value in values.items() if value}


def _print_rows(found: Sequence[Row], *, as_json: bool, empty: str) -> None:
    if as_json:
        _print_json([plain(row) for row in found])
    elif not found:
        Console().print(empty)
    else:
        table = Table(*SHOWN, box=None)
        for row in found:
            table.add_row(*(_cell(getattr(row, name)) for name in SHOWN))
        Console().print(table)


def _plain_use(use: report.Use) -> dict[str, Any]:
    told = {"verdict": use.verdict, "decided": use.decided.isoformat(), "row": use.row.id, "reason": use.row.reason}
    return {**vars(use.task), **told, "saved_seconds": use.saved_seconds}


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:.1f}"
    return escape(str(value)) if value is not None else ""


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
