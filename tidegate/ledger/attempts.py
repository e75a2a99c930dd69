"""An attempt's life in the database: begun, renewed, closed, replaced. Every function is one transaction's work.

Fencing: a write names the attempt's number and finds it only while it is running. An attempt that was taken over or
superseded is not, so a late write of its holder changes nothing and raises LeaseLost.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from tidegate.ledger import rows
from tidegate.ledger.canonical import canonical
from tidegate.ledger.decide import Case, Check, Resume, Take, decide, replaced_before
from tidegate.ledger.errors import LeaseLost
from tidegate.ledger.explain import nearest, told
from tidegate.ledger.model import (
    RELAUNCHED,
    REPLACED,
    SUPERSEDED,
    TAKEN_OVER,
    Claim,
    Ended,
    Hit,
    Outcome,
    Reason,
    State,
    Wait,
)
from tidegate.ledger.tables import ledger_row, ledger_use

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tidegate.ledger.model import Request, Row, Verdict
    from tidegate.ledger.transaction import Operation, Tx


def consider(request: Request, distrusted: Mapping[int, str]) -> Operation[Check | Verdict | None]:
    """Decide, and do what that means at once; None when another was faster and it must be decided anew."""

    def operation(tx: Tx) -> Check | Verdict | None:
        found = rows.by_key(tx, request.key.digest)
        step = decide(Case(request=request, rows=found, now=tx.now, distrusted=distrusted))
        match step:
            case Take():
                return _take(tx, request, step, found)
            case Resume():
                return _resume(tx, request, step.row, found)
            case Wait():
                record_use(tx, request, step.row, "wait")
            case Ended() | Check():
                pass
        return step

    return operation


def confirm(check: Check) -> Operation[Hit | None]:
    """Record the hit, unless the row was invalidated or the work begun anew while the stores were asked."""

    def operation(tx: Tx) -> Hit | None:
        found = rows.by_key(tx, check.row.key)
        step = decide(Case(request=check.request, rows=found, now=tx.now))
        if not isinstance(step, Check) or step.row.id != check.row.id:
            return None
        record_use(tx, check.request, step.row, "hit")
        return Hit(row=step.row)

    return operation


def renew(claims: Sequence[Claim]) -> Operation[frozenset[int]]:
    """A heartbeat for all attempts of a process in one go; gives the numbers of those that are lost."""

    def operation(tx: Tx) -> frozenset[int]:
        wanted = {claim.fence for claim in claims}
        for lease in {claim.request.lease for claim in claims}:
            numbers = [claim.fence for claim in claims if claim.request.lease == lease]
            query = update(ledger_row).where(ledger_row.c.id.in_(numbers), ledger_row.c.state == State.RUNNING)
            tx.conn.execute(query.values(lease_expires=tx.now + lease))
        alive = select(ledger_row.c.id).where(ledger_row.c.id.in_(wanted), ledger_row.c.state == State.RUNNING)
        return frozenset(wanted - set(tx.conn.execute(alive).scalars()))

    return operation


def note(claim: Claim, *, pod: str = "", node: str = "", log_url: str = "") -> Operation[None]:
    """Write down where the attempt runs, as soon as that is known."""
    values = {name: value for name, value in (("pod", pod), ("node", node), ("log_url", log_url)) if value}

    def operation(tx: Tx) -> None:
        if values:
            _update_running(tx, claim.fence, values)

    return operation


def close(fence: int, outcome: Outcome, *, at: datetime | None = None) -> Operation[Row]:
    """End an attempt; again with the same result is fine, see the module for a late one.

    Args:
        fence: the attempt's number.
        outcome: how it ended.
        at: when, where that is not now by the database's clock: a write that comes late.
    """

    def operation(tx: Tx) -> Row:
        values = rows.outcome_values(outcome, now=at or tx.now)
        if not _updated(tx, fence, values):
            row = rows.by_id(tx, fence)
            if row.exit_reason in REPLACED or not same_end(row, values):
                raise LeaseLost(_lost(row))
        return rows.by_id(tx, fence)

    return operation


def relaunch(claim: Claim, outcome: Outcome) -> Operation[Claim]:
    """End the attempt and begin the next of the same try, in one go: more memory, or a start that came to nothing."""

    def operation(tx: Tx) -> Claim:
        values = rows.outcome_values(replace(outcome, exit_reason=RELAUNCHED), now=tx.now)
        _update_running(tx, claim.fence, values)
        why = Take(reason=Reason.RELAUNCHED, detail=outcome.exit_reason or outcome.message)
        return _begin(tx, claim.request, why, rows.by_key(tx, claim.row.key))

    return operation


def same_end(row: Row, values: Mapping[str, Any]) -> bool:
    """Whether a row ended as these columns say."""
    outputs = canonical([vars(output) for output in row.outputs])
    extra = canonical(dict(row.extra)) if row.extra else None
    return (row.state, outputs, extra) == (values["state"], values["outputs"], values.get("extra"))


def _take(tx: Tx, request: Request, step: Take, found: Sequence[Row]) -> Claim | None:
    """A new attempt, after the running one that must yield; that one may just have renewed its lease."""
    if step.lapsed is not None and not replace_attempt(tx, step.lapsed, forced=step.reason is Reason.FORCED):
        return None
    if step.reason is Reason.NEW:
        step = replace(step, detail=told(*nearest(request.key.parts, rows.before(tx, request.key.parts["step"]))))
    return _begin(tx, request, step, found)


def _begin(tx: Tx, request: Request, step: Take, found: Sequence[Row]) -> Claim:
    """Numbered after the newest attempt of the very rows the decision rests on, never of rows read again.

    Whoever was faster has that number, and the unique constraint sends this transaction back to decide anew.
    """
    attempt = found[0].attempt + 1 if found else 1
    values = rows.new_row(request, attempt=attempt, now=tx.now, reason=step.reason, detail=step.detail)
    result = tx.conn.execute(insert(ledger_row).values(values))
    row = rows.by_id(tx, int((result.inserted_primary_key or (0,))[0]))
    record_use(tx, request, row, "run")
    replaced = replaced_before(rows.by_key(tx, row.key), attempt=attempt)
    return Claim(row=row, request=request, replaced=replaced)


def _resume(tx: Tx, request: Request, row: Row, found: Sequence[Row]) -> Claim | None:
    if not _updated(tx, row.id, {"lease_expires": tx.now + request.lease}):
        return None
    replaced = replaced_before(found, attempt=row.attempt)
    return Claim(row=rows.by_id(tx, row.id), request=request, replaced=replaced, resumed=True)


def replace_attempt(tx: Tx, row: Row, *, forced: bool) -> bool:
    """Close another's attempt; a lapsed one only if its lease is still the one that was seen."""
    seen = () if forced else (ledger_row.c.lease_expires == row.lease_expires,)
    reason = SUPERSEDED if forced else TAKEN_OVER
    ended = Outcome(state=State.FAILED, exit_reason=reason)
    return _updated(tx, row.id, rows.outcome_values(ended, now=tx.now), *seen)


def _updated(tx: Tx, fence: int, values: Mapping[str, Any], *conditions: Any) -> bool:  # noqa: ANN401 - SQL clauses
    query = update(ledger_row).where(ledger_row.c.id == fence, ledger_row.c.state == State.RUNNING, *conditions)
    return bool(tx.conn.execute(query.values(**values)).rowcount)


def _update_running(tx: Tx, fence: int, values: Mapping[str, Any]) -> None:
    if not _updated(tx, fence, values):
        raise LeaseLost(_lost(rows.by_id(tx, fence)))


def _lost(row: Row) -> str:
    ended = row.exit_reason or row.state
    return f"attempt {row.attempt} (row {row.id}) of {row.step} is {ended}: its late write is refused"


def give_up(request: Request, row: Row) -> Operation[None]:
    """Note that a try no longer waits for a row."""
    return lambda tx: record_use(tx, request, row, "gave_up")


def record_use(tx: Tx, request: Request, row: Row, verdict: str) -> None:
    """One line per task's try: what it got in the end, what it waits for, or what it waited for in vain."""
    values = {"row_id": row.id, "verdict": verdict}
    mine = ledger_use.c.holder == request.task.holder
    seen = tx.conn.execute(select(ledger_use.c.row_id, ledger_use.c.verdict).where(mine)).first()
    if seen is None:
        tx.conn.execute(insert(ledger_use).values(**values, **_whose(tx, request)))
    elif tuple(seen) != (row.id, verdict):
        tx.conn.execute(update(ledger_use).where(mine).values(**values, datetime_decided=tx.now))


def _whose(tx: Tx, request: Request) -> dict[str, Any]:
    task = {name: getattr(request.task, name) for name in ("pipeline", "run_id", "task_id", "map_index", "try_number")}
    params = canonical(dict(request.run_params), name="run_params")
    return {**task, "holder": request.task.holder, "run_params": params, "datetime_decided": tx.now}
