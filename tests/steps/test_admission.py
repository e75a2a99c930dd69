"""Never more pods than the limit, first come first served, with two triggerers and after a kill.

The queue itself is the ledger's, tested there on every database.
"""

# ruff: noqa: ASYNC110, S311

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Any, cast

import psycopg
import pytest
from sqlalchemy import make_url

from tidegate.airflow.admission import Desk, admitted, holder_of, limits
from tidegate.airflow.identity import Identity
from tidegate.airflow.spec import PLATFORM_KEY, SpecError
from tidegate.ledger import AsyncLedger
from tidegate.ledger.admission import Limits
from tidegate.ledger.migrate import migrate
from tidegate.ledger.verify import NoStores

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def address(postgresql: str) -> str:
    """Of a ledger's database."""
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("CREATE DATABASE admission")
    found = make_url(postgresql).set(database="admission").render_as_string(hide_password=False)
    migrate(found)
    return found


def test_two_hundred_steps_on_two_desks_never_exceed_ten_and_come_in_order(address: str) -> None:
    """Two triggerers, one killed in the middle; its steps are taken over by the other."""
    limits = Limits(cluster=10)
    inside: set[str] = set()
    most = 0
    order: list[int] = []

    def run_of(number: int) -> Identity:
        return Identity(
            dag_id="p", run_id="r", task_id="t", map_index=number, try_number=1, logical_date="", ti_id=str(number)
        )

    async def step(desk: Desk, number: int) -> None:
        nonlocal most
        run = run_of(number)
        await desk.enter(run, limits)
        order.append(number)
        inside.add(run.ti_id)
        most = max(most, len(inside))
        await asyncio.sleep(random.uniform(0.0, 0.05))
        inside.discard(run.ti_id)
        desk.leave(run)

    async def story() -> None:
        ledgers = [AsyncLedger(address, probe=NoStores()) for _ in range(2)]
        desks = [Desk(ledger, living=lambda: frozenset(map(holder_of, inside))) for ledger in ledgers]
        loops = [asyncio.create_task(desk.run()) for desk in desks]
        steps = {number: asyncio.create_task(step(desks[number % 2], number)) for number in range(200)}
        async with asyncio.timeout(100):
            while len(order) < 60:
                await asyncio.sleep(0.01)
            loops[0].cancel()
            orphans = [number for number, task in steps.items() if number % 2 == 0 and not task.done()]
            for number in orphans:
                steps[number].cancel()
            await asyncio.wait([steps[number] for number in orphans])
            for number in orphans:
                inside.discard(str(number))
                steps[number] = asyncio.create_task(step(desks[1], number))
            await asyncio.gather(*steps.values())
        loops[1].cancel()
        await asyncio.wait(loops)
        await asyncio.gather(*(ledger.shut() for ledger in ledgers))

    asyncio.run(story())
    assert set(order) == set(range(200))
    assert most <= 10
    first = order[0] % 2  # the desk whose first turn came first stands before the other with all it asked for
    arrival = {number: rank for rank, number in enumerate(sorted(range(200), key=lambda n: (n % 2 != first, n)))}
    late = [position - arrival[number] for position, number in enumerate(dict.fromkeys(order))]
    assert max(late) <= 20, "somebody was overtaken by many"


def test_database_away_lets_nobody_in_and_nobody_fails(tmp_path: Path) -> None:
    async def story() -> bool:
        address = f"sqlite:///{tmp_path / 'missing' / 'x.db'}"
        ledger = AsyncLedger(address, probe=NoStores())
        desk = Desk(ledger, living=frozenset)
        loop = asyncio.create_task(desk.run())
        run = Identity(dag_id="p", run_id="r", task_id="t", try_number=1, logical_date="", ti_id="1")
        entering = asyncio.create_task(desk.enter(run, Limits(cluster=1)))
        await asyncio.wait({entering}, timeout=1.5)
        waits = not entering.done()
        (tmp_path / "missing").mkdir()
        migrate(address)
        async with asyncio.timeout(60):
            await entering
        loop.cancel()
        await asyncio.wait({loop})
        await ledger.shut()
        return waits

    assert asyncio.run(story())


def test_a_pipeline_that_nothing_limits_asks_nobody() -> None:
    run = Identity(dag_id="free", run_id="r", task_id="t", try_number=1, logical_date="", ti_id="1")

    async def story() -> object:
        places, watch = Limits(pipelines={"petrol": 1}), cast("Any", None)
        async with admitted(run, places, watch=watch, within=1, say=print) as late:
            return late

    assert asyncio.run(story()) is None


def config(**entry: Any) -> dict[str, str]:
    return {PLATFORM_KEY: json.dumps({"store_root": "s3://b", **entry})}


def test_limits_come_from_the_chart() -> None:
    assert limits(config()) == Limits()
    found = limits(config(limits={"cluster": 10, "pipelines": {"petrol": 1}}))
    assert (found.cluster, found.pipeline("petrol"), found.pipeline("hello")) == (10, 1, None)


@pytest.mark.parametrize("bad", [{"cluster": 0}, {"cluster": "10"}, {"pipelines": {"petrol": True}}])
def test_a_limit_that_is_no_number_is_refused_by_its_name(bad: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=r"concurrency\.(cluster|pipelines\.petrol)"):
        limits(config(limits=bad))
