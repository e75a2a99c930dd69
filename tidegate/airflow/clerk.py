"""The triggerer's side of the ledger: one pool of connections, one heartbeat and one spool for all steps of a process.

Reads, writes: the ledger's database; files in the spool while that is away. Again: a triggerer that is started anew
renews what its tries still hold, and writes what the one before it left in the spool.
Stores are asked with the triggerer's own account, which may read and nothing else; every such call runs in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from sqlalchemy.exc import SQLAlchemyError

from tidegate.airflow.spec import SpecError
from tidegate.ledger import HEARTBEAT, AsyncLedger, BadAddress, LedgerError, Spool
from tidegate.ledger.address import VARIABLES, from_environment
from tidegate.ledger.attempts import renew
from tidegate.ledger.verify import StoreProbe
from tidegate.step import NotFound, Stores

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tidegate.ledger import Claim

log = logging.getLogger(__name__)

BEAT_SECONDS = HEARTBEAT.total_seconds()
CONNECTION = "ml_airflow"
"""The Airflow connection to the ledger's database, where the environment names none."""

CONNECTION_SECONDS = 10.0
"""To learn of that connection."""

SPOOL_VARIABLE = "TIDEGATE_LEDGER_SPOOL"
"""Folder of the spool; otherwise one beside Airflow's logs, which outlive the triggerer."""


class Beside(Protocol):
    """Something that runs as long as the clerk does, on its ledger."""

    async def run(self) -> None:
        """Its loop, until cancelled."""


B = TypeVar("B", bound=Beside)


class Clerk:
    """See the module. `run()` is its loop."""

    def __init__(self, ledger: AsyncLedger) -> None:
        self.ledger = ledger
        self._held: dict[int, tuple[Claim, asyncio.Event]] = {}
        self._closing = asyncio.Event()
        self._beside: dict[str, tuple[Beside, asyncio.Task[None]]] = {}

    def beside(self, name: str, make: Callable[[], B]) -> B:
        """Return what runs under this name, made and started by the first caller."""
        known = self._beside.get(name)
        if known is None or known[1].done():
            made = make()
            known = self._beside[name] = (made, asyncio.create_task(made.run(), name=name))
        return cast("B", known[0])

    @asynccontextmanager
    async def holding(self, claim: Claim) -> AsyncIterator[asyncio.Event]:
        """Renew the lease while the block runs; the event tells that it is lost to another attempt."""
        _, lost = self._held.setdefault(claim.fence, (claim, asyncio.Event()))
        try:
            yield lost
        finally:
            self._held.pop(claim.fence, None)

    async def holds(self, claim: Claim) -> bool:
        """Ask now whether the attempt is still the one that counts; an outage takes nothing away."""
        try:
            return not await self.ledger.do(renew([claim]))
        except LedgerError:
            return True

    async def run(self) -> None:
        """Renew all leases and write what the spool holds, until `close` or cancelled."""
        try:
            while not self._closing.is_set():
                await self.beat()
                with suppress(TimeoutError):
                    async with asyncio.timeout(BEAT_SECONDS):
                        await self._closing.wait()
        finally:
            for _, task in self._beside.values():
                task.cancel()
            await self.ledger.shut()

    def close(self) -> None:
        """Let `run` end after its heartbeat."""
        self._closing.set()

    async def beat(self) -> None:
        """One heartbeat."""
        try:
            if claims := [claim for claim, _ in self._held.values()]:
                for fence in await self.ledger.do(renew(claims)):
                    if fence in self._held:
                        self._held[fence][1].set()
            flushed = await self.ledger.flush()
        except (LedgerError, SQLAlchemyError, OSError) as fault:
            log.warning("the ledger does not answer, leases are not renewed: %s", fault)
            return
        if flushed.written or flushed.refused:
            log.warning("the ledger is back: %d rows written late, %s", flushed.written, flushed.refused or "none lost")


_clerks: dict[tuple[int, str], tuple[Clerk, asyncio.Task[None]]] = {}


async def open_clerk() -> Clerk | None:
    """Return the clerk of this event loop, opened by the first caller; None where no ledger is named.

    Raises:
        SpecError: One is named, in a form that nobody can use.
    """
    if not (address := await find_address()):
        return None
    key = (id(asyncio.get_running_loop()), address)
    known = _clerks.get(key)
    if known is None or known[1].done():
        probe, spool = StoreProbe(Stores(), missing=NotFound), Spool(spool_folder())
        try:
            clerk = Clerk(AsyncLedger(address, probe=probe, spool=spool))
        except BadAddress as fault:
            raise SpecError(str(fault)) from None
        known = _clerks[key] = (clerk, asyncio.create_task(clerk.run(), name="tidegate-ledger"))
    return known[0]


async def close_clerks() -> None:
    """Close the clerks of this event loop, as a test does before its loop ends."""
    own = [key for key in _clerks if key[0] == id(asyncio.get_running_loop())]
    closing = [_clerks.pop(key) for key in own]
    for clerk, _ in closing:
        clerk.close()
    await asyncio.gather(*(task for _, task in closing), return_exceptions=True)


def spool_folder() -> Path:
    """Where rows wait while the ledger is away."""
    home = os.environ.get("AIRFLOW_HOME") or str(Path.home() / "airflow")
    return Path(os.environ.get(SPOOL_VARIABLE) or f"{home}/logs/tidegate-ledger")


async def find_address() -> str:
    """Return the ledger's address: of the environment, or of the Airflow connection; "" where there is neither.

    Raises:
        SpecError: The environment's cannot be used.
    """
    if any(os.environ.get(name, "").strip() for name in VARIABLES):
        try:
            return from_environment(os.environ)
        except BadAddress as fault:
            raise SpecError(str(fault)) from None
    from airflow.sdk import Connection  # noqa: PLC0415 - a second to import, and only needed here
    from airflow.sdk.exceptions import AirflowNotFoundException  # noqa: PLC0415

    try:
        async with asyncio.timeout(CONNECTION_SECONDS):
            connection = await Connection.async_get(CONNECTION)
    except (AirflowNotFoundException, TimeoutError):
        return ""
    return str(connection.get_uri())
