"""The async side does what the sync side does: same flows, real async drivers, nothing blocking on the loop."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.ledger.world import Clock, Stores, ask, done, key
from tidegate.ledger import AsyncLedger, Blind, Claim, Hit, LeaseLost, Spool, Unreachable, Wait, attempts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


def play(address: str, stores: Stores, case: Callable[[AsyncLedger], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        ledger = AsyncLedger(address, probe=stores, **options)
        try:
            await asyncio.wait_for(case(ledger), 60)
        finally:
            await ledger.shut()
            await asyncio.to_thread(_end_of_drivers)

    asyncio.run(main())


def _end_of_drivers() -> None:
    """Wait for aiosqlite: the thread of a connection that could not be opened asks for the loop once more."""
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            thread.join(30)


def test_claim_wait_close_hit(db: str, stores: Stores) -> None:
    async def case(ledger: AsyncLedger) -> None:
        claim = await ledger.begin(ask(1))
        assert isinstance(claim, Claim)
        assert isinstance(await ledger.begin(ask(2)), Wait)
        assert await ledger.do(attempts.renew([claim])) == frozenset()
        waiting = asyncio.create_task(ledger.obtain(ask(2), at_most=30))
        await ledger.close(claim, done(stores))
        assert isinstance(await waiting, Hit)
        del stores.objects["s3://tidegate/runs/model.pkl"]
        again = await ledger.begin(ask(3))
        assert isinstance(again, Claim)
        assert again.row.reason == "output_changed"

    play(db, stores, case)


def test_twenty_tasks_at_once_run_once(db: str, stores: Stores) -> None:
    effects: list[int] = []

    async def case(ledger: AsyncLedger) -> None:
        async def work(number: int) -> str:
            verdict = await ledger.obtain(ask(number), at_most=50)
            if isinstance(verdict, Claim):
                effects.append(number)
                await asyncio.sleep(0.2)
                await ledger.close(verdict, done(stores))
            return type(verdict).__name__

        names = await asyncio.gather(*(work(number) for number in range(20)))
        assert sorted(names) == ["Claim"] + ["Hit"] * 19

    play(db, stores, case)
    assert len(effects) == 1


def test_a_rush_waits_in_line_and_is_no_outage(db: str, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool that times out would let steps run blind, past every lease."""
    monkeypatch.setattr("tidegate.ledger.address.TIMEOUT", 1)

    async def case(ledger: AsyncLedger) -> None:
        async def slow(number: int) -> int:
            return await ledger.do(lambda tx: (tx.now, time.sleep(0.05), number)[2])

        assert await asyncio.gather(*(slow(number) for number in range(50))) == list(range(50))

    play(db, stores, case)


def test_takeover_and_fencing(db: str, stores: Stores) -> None:
    clock = Clock()

    async def case(ledger: AsyncLedger) -> None:
        old = await ledger.begin(ask(1))
        assert isinstance(old, Claim)
        clock.ahead = timedelta(seconds=91)
        new = await ledger.begin(ask(2))
        assert isinstance(new, Claim)
        assert new.fence > old.fence
        with pytest.raises(LeaseLost):
            await ledger.close(old, done(stores))

    play(db, stores, case, clock=clock)


def test_a_slow_store_does_not_hold_up_the_loop(db: str, stores: Stores) -> None:
    honest = stores.seen

    def slow(url: str) -> object:
        time.sleep(0.5)
        return honest(url)

    async def case(ledger: AsyncLedger) -> None:
        claim = await ledger.begin(ask(1))
        assert isinstance(claim, Claim)
        await ledger.close(claim, done(stores))
        stores.seen = slow  # type: ignore[assignment,method-assign]
        checking = asyncio.create_task(ledger.begin(ask(2)))
        longest, last = 0.0, time.monotonic()
        while not checking.done():
            await asyncio.sleep(0.005)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        assert isinstance(checking.result(), Hit)
        assert longest < 0.4, f"the loop stood still for {longest:.2f} s"

    play(db, stores, case)


def test_an_outage_runs_blind_and_flushes_later(db: str, stores: Stores, tmp_path: Path) -> None:
    spool = Spool(tmp_path)

    async def down(ledger: AsyncLedger) -> None:
        ticket = await ledger.begin(ask(1))
        assert isinstance(ticket, Blind)
        assert await ledger.close(ticket, done(stores)) is None
        assert (await ledger.flush()).written == 0
        ledger.spool = None
        with pytest.raises(Unreachable):
            await ledger.begin(ask(2, work=key(params={})))

    async def back(ledger: AsyncLedger) -> None:
        assert (await ledger.flush()).written == 1
        assert isinstance(await ledger.begin(ask(2)), Hit)

    play(_dead(db, tmp_path), stores, down, spool=spool)
    play(db, stores, back, spool=spool)


def _dead(db: str, folder: Path) -> str:
    """An address of the same kind where nobody listens."""
    from sqlalchemy import make_url  # noqa: PLC0415

    url = make_url(db)
    dead = url.set(port=1) if url.host else url.set(database=str(folder / "no" / "such"))
    return dead.render_as_string(hide_password=False)
