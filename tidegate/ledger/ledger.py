"""The ledger for ordinary code and the command line: what `aio` is for a triggerer, by the same flows.

Reads and writes: the ledger's database; asks the stores through a `Probe`. Again: every call may be repeated.
Down: with a spool, `begin` answers Blind and `close` keeps the row for `flush`; without one they raise Unreachable.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from tidegate.ledger import flow, spool
from tidegate.ledger.address import open_engine, turns
from tidegate.ledger.decide import Check
from tidegate.ledger.errors import LedgerError, Unreachable
from tidegate.ledger.model import Blind, Claim, Wait
from tidegate.ledger.transaction import Clock, Operation, Tries, Tx, database_time
from tidegate.ledger.verify import fault_of

if TYPE_CHECKING:
    from tidegate.ledger.model import Outcome, Request, Row, Verdict
    from tidegate.ledger.verify import Probe

T = TypeVar("T")


class Ledger:
    """Holds a pool of connections; share one per process, and close it."""

    def __init__(
        self, address: str, *, probe: Probe, spool: spool.Spool | None = None, clock: Clock = database_time
    ) -> None:
        self.engine = open_engine(address)
        self.probe = probe
        self.spool = spool
        self._clock = clock
        self._turn = threading.BoundedSemaphore(turns(address))

    def shut(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def do(self, operation: Operation[T]) -> T:
        """Run one transaction; again when another one was faster.

        Raises:
            Unreachable: the database cannot be used.
            LedgerError: what the operation itself refuses.
        """
        tries = Tries()
        while True:
            try:
                with self._turn, self.engine.begin() as conn:
                    return operation(Tx(conn, self._clock))
            except (SQLAlchemyError, OSError) as error:
                pause = tries.pause(error)
            time.sleep(pause)

    def run(self, asked: flow.Flow[T]) -> T:
        """Drive a flow to its end."""
        answer: object = None
        while True:
            try:
                ask = asked.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            answer = fault_of(ask, self.probe) if isinstance(ask, Check) else self.do(ask)

    def begin(self, request: Request) -> Verdict | Blind:
        """Must this work be done? See model.Verdict; Blind where the ledger is down and there is a spool."""
        try:
            return self.run(flow.begin(request))
        except Unreachable as error:
            if self.spool is None:
                raise
            return Blind(request=request, started=datetime.now(UTC), cause=str(error))

    def obtain(self, request: Request, *, at_most: float) -> Verdict | Blind:
        """Like `begin`, but waits for work in flight, up to so many seconds."""
        deadline = time.monotonic() + at_most
        while isinstance(verdict := self.begin(request), Wait) and time.monotonic() < deadline:
            time.sleep(verdict.seconds)
        return verdict

    def close(self, ticket: Claim | Blind, outcome: Outcome) -> Row | None:
        """Write how it ended; None where the ledger is down and the spool keeps it.

        Raises:
            LeaseLost: another attempt took over; begin again to get its result.
        """
        entry = spool.entry_of(ticket, outcome)
        try:
            return self.do(entry.operation())
        except Unreachable:
            if self.spool is None:
                raise
            self.spool.put(entry)
            return None

    def flush(self) -> spool.Flushed:
        """Write what the spool holds, oldest first; stops where the ledger is still down."""
        flushed = spool.Flushed()
        for entry in self.spool.entries() if self.spool is not None else ():
            try:
                self.do(entry.operation())
            except Unreachable:
                break
            except (LedgerError, SQLAlchemyError) as error:
                flushed.refused.append(str(error))
                entry.set_aside()
                continue
            flushed.written += 1
            entry.forget()
        return flushed
