"""Run, skip or wait: the decision alone, from the rows of a key and the time.

Pure, and shared by the trigger, `tidegate plan`, the sync and the async side. In this order: a try goes on with what
is its own; work in flight is waited for, unless forced or its lease has lapsed; a recorded result is used when it is
inside its time-to-live and `Check` proves it; else the step runs, and the reason is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from tidegate.ledger.model import NOT_KEPT, REPLACED, Ended, Proof, Reason, Request, Row, State, Wait

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

POLL = 2.0
"""Seconds after which a waiting step asks again at the latest."""


@dataclass(frozen=True, kw_only=True)
class Resume:
    """The try's own attempt is still running."""

    row: Row


@dataclass(frozen=True, kw_only=True)
class Take:
    """A new attempt; `lapsed` is a running one that must yield to it."""

    reason: Reason
    detail: str = ""
    lapsed: Row | None = None


@dataclass(frozen=True, kw_only=True)
class Check:
    """A hit, if what this row recorded still holds in the stores."""

    row: Row
    request: Request


Step: TypeAlias = Resume | Take | Check | Wait | Ended


@dataclass(frozen=True, kw_only=True)
class Case:
    """All that a decision rests on: the key's rows, newest first, and rows that failed a check just now."""

    request: Request
    rows: Sequence[Row]
    now: datetime
    distrusted: Mapping[int, str] = field(default_factory=dict)

    @property
    def own(self) -> Row | None:
        """This try's newest attempt."""
        return next((row for row in self.rows if row.holder == self.request.task.holder), None)

    @property
    def forced(self) -> bool:
        """A force counts once: an attempt of the same try that was replaced has used it up."""
        return self.request.force and self.own is None


def decide(case: Case) -> Step:
    """What to do next; see the module's order."""
    return _own(case) or _in_flight(case) or _recorded(case)


def _own(case: Case) -> Step | None:
    row = case.own
    if row is None or row.exit_reason in REPLACED or row.state is State.INVALIDATED:
        return None
    return Resume(row=row) if row.state is State.RUNNING else Ended(row=row)


def _in_flight(case: Case) -> Step | None:
    row = next((row for row in case.rows if row.state is State.RUNNING), None)
    if row is None:
        return None
    if case.forced:
        return Take(reason=Reason.FORCED, lapsed=row)
    left = (row.lease_expires - case.now).total_seconds() if row.lease_expires else 0.0
    if left <= 0:
        return Take(reason=Reason.LEASE_LAPSED, detail=f"of attempt {row.attempt}, {row.run_id}", lapsed=row)
    return Wait(row=row, seconds=min(left, POLL))


def _recorded(case: Case) -> Step:
    if case.forced:
        return Take(reason=Reason.FORCED)
    if not case.request.reusable:
        return Take(reason=Reason.NOT_REUSABLE)
    row = next((row for row in case.rows if row.state is State.SUCCEEDED), None)
    return _nothing_recorded(case) if row is None else _doubt(case, row) or Check(row=row, request=case.request)


def _nothing_recorded(case: Case) -> Take:
    newest = next(iter(case.rows), None)
    if newest is None:
        return Take(reason=Reason.NEW)
    if newest.state is State.INVALIDATED:
        return Take(reason=Reason.INVALIDATED, detail=newest.message)
    return Take(reason=Reason.FAILED_BEFORE, detail=newest.exit_reason or newest.message)


def _doubt(case: Case, row: Row) -> Take | None:
    """Why this result does not count, as far as that can be told without asking a store."""
    ttl, finished = case.request.ttl, row.datetime_finished
    if ttl is not None and (finished is None or finished + ttl <= case.now):
        return Take(reason=Reason.EXPIRED, detail=f"older than {ttl}")
    if row.exit_reason == NOT_KEPT:
        return Take(reason=Reason.NOT_KEPT, detail=row.message)
    if not row.outputs and case.request.verify is None and case.request.proof is not Proof.RECORD:
        detail = "a step without outputs is skipped only with `ledger.verify: record`"
        return Take(reason=Reason.NO_OUTPUTS, detail=detail)
    if row.id in case.distrusted:
        return Take(reason=Reason.OUTPUT_CHANGED, detail=case.distrusted[row.id])
    return None


def replaced_before(rows: Sequence[Row], *, attempt: int) -> tuple[Row, ...]:
    """The attempts just before this one that were replaced: their pods may live although their leases do not.

    A taker may itself die before it has removed a pod, hence the whole chain down to an attempt that ended by itself.
    """
    chain = []
    for row in rows:
        if row.attempt < attempt:
            if row.exit_reason not in REPLACED:
                break
            chain.append(row)
    return tuple(chain)
