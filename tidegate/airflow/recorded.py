"""A step's end in the ledger's words, and back: what a row keeps of a result or a failure. Pure.

A hit gives the same result again, to the last value; what the step used is for the row alone.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeGuard

from tidegate.airflow.failures import Failure, Kind, Then
from tidegate.airflow.request import outputs_of
from tidegate.airflow.results import USAGE
from tidegate.ledger import BadKey, Outcome, State
from tidegate.ledger.canonical import canonical
from tidegate.ledger.model import EXTRA_LIMIT, NOT_KEPT

if TYPE_CHECKING:
    from tidegate.ledger import Row

Result = dict[str, Any]

MOST = 2**63
"""No database of ours counts so far."""

KNOWN = frozenset({"outputs", "metrics", "summary", USAGE})
"""What a result holds that has a place of its own in a row."""

FOR_GOOD = frozenset(
    {
        Kind.BAD_INPUT,
        Kind.BAD_RESULT,
        Kind.CONTAINER_REFUSED,
        Kind.IMAGE_MISSING,
        Kind.NOT_CONFIGURED,
        Kind.OUT_OF_MEMORY,
        Kind.SECRET_MISSING,
    }
)
"""Failures that are not retried, when they are told once more."""


def outcome_of(found: Result | Failure, *, pod: str, node: str) -> Outcome:
    """How an attempt ended, in the ledger's words.

    All of a result is kept, so that a hit gives it again; one that is too long for a row is never used again.
    """
    if isinstance(found, Failure):
        used, why = usage_of(told_among(found.last_words)), found.kind.value
        return Outcome(state=State.FAILED, exit_reason=why, message=found.message, pod=pod, node=node, **used)
    numbers = {str(k): v for k, v in (found.get("metrics") or {}).items() if _is_number(v)}
    told = {"metrics": numbers, "summary": str(found.get("summary") or ""), **usage_of(found), **extra_of(found)}
    return Outcome(state=State.SUCCEEDED, outputs=outputs_of(found), pod=pod, node=node, **told)


def extra_of(found: Result) -> dict[str, Any]:
    """What the ledger keeps of a result beside what it knows by name; or why it does not."""
    extra = {name: value for name, value in found.items() if name not in KNOWN}
    try:
        size = len(canonical(extra))
    except BadKey as fault:
        return {"exit_reason": NOT_KEPT, "message": f"the result cannot be kept: {fault}"}
    if size > EXTRA_LIMIT:
        names = ", ".join(sorted(extra))
        return {"exit_reason": NOT_KEPT, "message": f"{names}: {size} bytes, more than the {EXTRA_LIMIT} a row keeps"}
    return {"extra": extra}


def told_among(words: str) -> Result:
    """What a step that failed told as a line of its last words, `{"usage": ...}`; nothing where no line is one."""
    for line in reversed(words.splitlines()):
        with suppress(ValueError):
            if isinstance(said := json.loads(line), dict) and USAGE in said:
                return said
    return {}


def usage_of(found: Result) -> dict[str, Any]:
    """What the step says that it used; nothing where it says something else, for it is told for people only."""
    said = found.get(USAGE)
    peak, cpu = (said.get("peak_memory_bytes"), said.get("cpu_seconds")) if isinstance(said, dict) else (None, None)
    return {
        "peak_memory_bytes": int(peak) if _is_number(peak) and 0 <= peak < MOST else None,
        "cpu_seconds": float(cpu) if _is_number(cpu) and cpu >= 0 else None,
    }


def _is_number(value: object) -> TypeGuard[int | float]:
    """Whether JSON and a database can hold it as one."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def result_of(row: Row) -> Result:
    """The result that a row recorded, as the step itself told it."""
    outputs = [asdict(output) for output in row.outputs]
    return {"outputs": outputs, "metrics": dict(row.metrics), "summary": row.summary, **row.extra}


def failure_of(row: Row) -> Failure:
    """The failure that a row recorded."""
    kind = Kind(row.exit_reason) if row.exit_reason in set(Kind) else Kind.PLATFORM
    then = Then.STOP if kind in FOR_GOOD else Then.RETRY
    return Failure(kind=kind, message=row.message or row.exit_reason, then=then)
