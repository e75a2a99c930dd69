"""The order of things that needs both a database and the stores, without doing either.

A flow is a generator: it yields an operation to run in one transaction, or a `Check` to put to the stores, and is sent
the answer. The sync and the async side drive the same flows, and no transaction is open while a store is asked.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from tidegate.ledger.attempts import confirm, consider
from tidegate.ledger.decide import Check
from tidegate.ledger.errors import Unreachable
from tidegate.ledger.transaction import TRIES, Operation

if TYPE_CHECKING:
    from tidegate.ledger.model import Hit, Request, Verdict

T = TypeVar("T")

Ask: TypeAlias = "Operation[Any] | Check"
Flow: TypeAlias = Generator[Ask, Any, T]
"""Yields what it needs to know, returns a T."""


def begin(request: Request) -> Flow[Verdict]:
    """Hit, Claim, Wait or Ended; whatever others do meanwhile."""
    distrusted: dict[int, str] = {}
    for _ in range(TRIES):
        step: Check | Verdict | None = yield consider(request, distrusted)
        if isinstance(step, Check):
            fault: str = yield step
            if fault:
                distrusted[step.row.id] = fault
                continue
            hit: Hit | None = yield confirm(step)
            if hit is not None:
                return hit
        elif step is not None:
            return step
    raise Unreachable(f"the rows of {request.key.parts['step']} changed {TRIES} times while they were read")
