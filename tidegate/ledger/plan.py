"""What would run if a DAG ran now: RUN, SKIP or WAIT for every step, why, and for how long.

Decides with `decide`, as the trigger does, checks outputs as the trigger does, and writes nothing. A step whose input
comes from a step that must run is RUN: its key depends on bytes that do not exist yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import select

from tidegate.ledger import rows
from tidegate.ledger.decide import Case, Check, Resume, Take, decide
from tidegate.ledger.errors import BadKey
from tidegate.ledger.explain import nearest, told
from tidegate.ledger.model import Ended, Output, Reason, Request, Row, State, Wait
from tidegate.ledger.tables import ledger_row

if TYPE_CHECKING:
    from tidegate.ledger.decide import Step
    from tidegate.ledger.flow import Flow
    from tidegate.ledger.transaction import Operation, Tx

RECENT = 10
"""Runs of a step that its expected time is the median of."""


class Action(StrEnum):
    """What a run would do with a step."""

    RUN = "RUN"
    SKIP = "SKIP"
    WAIT = "WAIT"


Upstream: TypeAlias = Mapping[str, Sequence[Output]]
"""Outputs of the steps before, by task id."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A step of a DAG, as a plan needs it."""

    task_id: str
    step: str
    inputs_from: tuple[str, ...] = ()
    """Task ids whose outputs it reads."""
    build: Callable[[Upstream], Request]
    """The request it would make; called only where all of `inputs_from` would be skipped."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a plan."""

    task_id: str
    step: str
    action: Action
    reason: str
    minutes: float | None
    """Expected; None where the step never ran. For WAIT what is left."""
    row: int | None = None
    """The row it would use or wait for."""


def plan(steps: Sequence[Planned]) -> Flow[list[Line]]:
    """The plan of steps in the DAG's order."""
    lines: dict[str, Line] = {}
    outputs: dict[str, Sequence[Output]] = {}
    for step in steps:
        line, found = yield from _line(step, lines, outputs)
        lines[step.task_id] = line
        if found is not None:
            outputs[step.task_id] = found.outputs
    return list(lines.values())


def _line(
    step: Planned, lines: Mapping[str, Line], outputs: Mapping[str, Sequence[Output]]
) -> Flow[tuple[Line, Row | None]]:
    usual: float | None = yield typical_minutes(step.step)
    running = [name for name in step.inputs_from if lines[name].action is not Action.SKIP]
    if running:
        return _run(step, f"reads what {', '.join(running)} will write", usual), None
    try:
        request = step.build({name: outputs[name] for name in step.inputs_from})
    except BadKey as error:
        return _run(step, str(error), usual), None
    found, detail = yield from _decided(request)
    return _told(step, found, detail, usual)


def _decided(request: Request) -> Flow[tuple[Step, str]]:
    """The trigger's decision, after the stores were asked."""
    distrusted: dict[int, str] = {}
    while True:
        step, detail = yield _look(request, distrusted)
        if not isinstance(step, Check):
            return step, detail
        fault: str = yield step
        if not fault:
            return step, detail
        distrusted[step.row.id] = fault


def _look(request: Request, distrusted: Mapping[int, str]) -> Operation[tuple[Step, str]]:
    def operation(tx: Tx) -> tuple[Step, str]:
        found = rows.by_key(tx, request.key.digest)
        step = decide(Case(request=request, rows=found, now=tx.now, distrusted=distrusted))
        if isinstance(step, Take) and step.reason is Reason.NEW:
            return step, told(*nearest(request.key.parts, rows.before(tx, request.key.parts["step"])))
        left = (tx.now - step.row.datetime_started).total_seconds() if isinstance(step, Wait | Resume) else 0.0
        return step, f"{left:.0f}" if left else ""

    return operation


def _told(step: Planned, found: Step, detail: str, usual: float | None) -> tuple[Line, Row | None]:
    match found:
        case Take():
            return _run(step, ": ".join(filter(None, (found.reason, found.detail or detail))), usual), None
        case Wait() | Resume():
            left = None if usual is None else max(usual - float(detail or 0) / 60, 0.0)
            return _line_for(step, Action.WAIT, f"{found.row.run_id} is at it", left, found.row), None
        case Check() | Ended():
            return _line_for(step, Action.SKIP, f"row {found.row.id} of {found.row.run_id}", 0.0, found.row), found.row


def _run(step: Planned, reason: str, minutes: float | None) -> Line:
    return Line(task_id=step.task_id, step=step.step, action=Action.RUN, reason=reason, minutes=minutes)


def _line_for(step: Planned, action: Action, reason: str, minutes: float | None, row: Row) -> Line:
    rounded = None if minutes is None else round(minutes, 2)
    return Line(task_id=step.task_id, step=step.step, action=action, reason=reason, minutes=rounded, row=row.id)


def typical_minutes(step: str) -> Operation[float | None]:
    """The median of a step's newest successful runs; None where there are none."""

    def operation(tx: Tx) -> float | None:
        query = select(ledger_row.c.datetime_started, ledger_row.c.datetime_finished)
        query = query.where(ledger_row.c.step == step, ledger_row.c.state == State.SUCCEEDED)
        times = tx.conn.execute(query.order_by(ledger_row.c.id.desc()).limit(RECENT)).all()
        seconds = [(finished - started).total_seconds() for started, finished in times if finished is not None]
        return round(median(seconds) / 60, 2) if seconds else None

    return operation
