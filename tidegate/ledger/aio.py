"""The ledger on an event loop: the same flows and operations as `ledger`, nothing blocking on the loop.

Operations run in the async driver's own connection by `run_sync`; stores are asked in threads.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from tidegate.ledger import flow, spool
from tidegate.ledger.address import TIMEOUT, open_async_engine, turns
from tidegate.ledger.decide import Check
from tidegate.ledger.errors import LedgerError, Unreachable
from tidegate.ledger.model import Blind, Claim, Wait
from tidegate.ledger.transaction import Clock, Operation, Tries, Tx, database_time
from tidegate.ledger.verify import fault_of

if TYPE_CHECKING:
    from tidegate.ledger.model import Outcome, Request, Row, Verdict
    from tidegate.ledger.verify import Probe

T = TypeVar("T")


class AsyncLedger:
    """See Ledger, whose methods these are; one per process and event loop."""

    def __init__(
        self, address: str, *, probe: Probe, spool: spool.Spool | None = None, clock: Clock = database_time
    ) -> None:
        self.engine = open_async_engine(address)
        self.probe = probe
        self.spool = spool
        self._clock = clock
        self._turn = asyncio.Semaphore(turns(address))
        self._doing: set[asyncio.Task[Any]] = set()

    async def shut(self) -> None:
        """Close all connections, those last that a transaction still has."""
        if self._doing:
            await asyncio.wait(self._doing, timeout=TIMEOUT)
        await self.engine.dispose()

    async def do(self, operation: Operation[T]) -> T:
        """See Ledger.do; who is cancelled meanwhile leaves the transaction to its end, and its connection whole."""
        doing = asyncio.create_task(self._do(operation))
        self._doing.add(doing)
        doing.add_done_callback(self._doing.discard)
        return await asyncio.shield(doing)

    async def _do(self, operation: Operation[T]) -> T:
        tries = Tries()
        while True:
            try:
                async with self._turn, self.engine.begin() as conn:
                    return await conn.run_sync(lambda sync: operation(Tx(sync, self._clock)))
            except (SQLAlchemyError, OSError) as error:
                pause = tries.pause(error)
            await asyncio.sleep(pause)

    async def run(self, asked: flow.Flow[T]) -> T:
        """See Ledger.run."""
        answer: object = None
        while True:
            try:
                ask = asked.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(ask, Check):
                answer = await asyncio.to_thread(fault_of, ask, self.probe)
            else:
                answer = await self.do(ask)

    async def begin(self, request: Request) -> Verdict | Blind:
        """See Ledger.begin."""
        try:
            return await self.run(flow.begin(request))
        except Unreachable as error:
            if self.spool is None:
                raise
            return Blind(request=request, started=datetime.now(UTC), cause=str(error))

    async def obtain(self, request: Request, *, at_most: float) -> Verdict | Blind:
        """See Ledger.obtain; waiting holds no thread and no connection."""
        deadline = time.monotonic() + at_most
        # What is waited for is in the database, so there is no event to await.
        while isinstance(verdict := await self.begin(request), Wait) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(verdict.seconds)
        return verdict

    async def close(self, ticket: Claim | Blind, outcome: Outcome) -> Row | None:
        """See Ledger.close."""
        entry = spool.entry_of(ticket, outcome)
        try:
            return await self.do(entry.operation())
        except Unreachable:
            if self.spool is None:
                raise
            await asyncio.to_thread(self.spool.put, entry)
            return None

    async def flush(self) -> spool.Flushed:
        """See Ledger.flush."""
        flushed = spool.Flushed()
        entries = await asyncio.to_thread(self.spool.entries) if self.spool is not None else ()
        for entry in entries:
            try:
                await self.do(entry.operation())
            except Unreachable:
                break
            except (LedgerError, SQLAlchemyError) as error:
                flushed.refused.append(str(error))
                await asyncio.to_thread(entry.set_aside)
                continue
            flushed.written += 1
            await asyncio.to_thread(entry.forget)
        return flushed
