"""Never more pods than the limit, first come first served, with two triggerers and after a kill."""

# ruff: noqa: ANN401, ASYNC110, S311

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from tests.steps.airflow_server import Postgres, postgres_programs
from tidegate.airflow import admission_table
from tidegate.airflow.admission import Desk, holder_of
from tidegate.airflow.admission_table import Entry, open_engine, turn
from tidegate.airflow.identity import Identity
from tidegate.airflow.order import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("admission")
    if request.param == "sqlite":
        yield f"sqlite:///{folder / 'ledger.db'}"
        return
    if not postgres_programs():
        pytest.skip("no PostgreSQL on this machine")
    with Postgres(folder / "postgres") as server:
        yield server.url("ml_airflow")


@pytest.fixture
def engine(address: str) -> Iterator[Engine]:
    engine = open_engine(address)
    ask(engine, [])
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM ledger_admission"))
    yield engine
    engine.dispose()


def entry(name: str, pipeline: str = "p") -> Entry:
    return Entry(holder=holder_of(name), pipeline=pipeline, run_id="r", task_id="t", map_index=-1, try_number=1)


def ask(engine: Engine, entries: list[Entry], **more: Any) -> set[str]:
    given = {"leaving": (), "limits": Limits(cluster=2), "living": frozenset[str](), **more}
    return set(turn(engine, entries=entries, **given))


def names(found: set[str], entries: list[Entry]) -> list[int]:
    return [index for index, item in enumerate(entries) if item.holder in found]


def test_places_are_given_in_order_of_arrival_and_given_back(engine: Engine) -> None:
    entries = [entry(f"a{i}") for i in range(4)]
    assert names(ask(engine, entries), entries) == [0, 1]
    assert names(ask(engine, entries[1:], leaving=[entries[0].holder]), entries) == [1, 2]


def test_pipeline_at_its_limit_lets_others_pass(engine: Engine) -> None:
    entries = [entry("a0", "a"), entry("a1", "a"), entry("b0", "b")]
    assert names(ask(engine, entries, limits=Limits(cluster=5, pipelines={"a": 1})), entries) == [0, 2]


def test_admission_of_a_killed_triggerer_stands_while_its_pod_lives(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission_table, "LEASE", timedelta(0))
    monkeypatch.setattr(admission_table, "RENEW", timedelta(0))
    old, new = [entry("old0"), entry("old1")], [entry("new0")]
    assert len(ask(engine, old)) == 2
    alive = frozenset(item.holder for item in old)
    assert ask(engine, new, living=None) == set(), "a place was given away though nobody knows whether the pod lives"
    assert ask(engine, new, living=alive) == set(), "a place was given away though its pod lives"


def test_lapsed_admission_without_a_pod_is_given_to_the_next(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission_table, "LEASE", timedelta(seconds=-1))
    assert ask(engine, [entry("dead0"), entry("dead1")]) == set(), "a lapsed entry was let in"
    monkeypatch.setattr(admission_table, "LEASE", timedelta(seconds=60))
    assert len(ask(engine, [entry("x0"), entry("x1")])) == 2


def test_who_asks_again_keeps_its_place(engine: Engine) -> None:
    entries = [entry(f"k{i}") for i in range(5)]
    ask(engine, entries)
    assert names(ask(engine, [entries[4]]), entries) == [], "it was let in before its turn"
    assert names(ask(engine, [entries[1]]), entries) == [1], "it lost its admission"


def test_two_hundred_steps_on_two_desks_never_exceed_ten_and_come_in_order(address: str, engine: Engine) -> None:
    """Two triggerers, one killed in the middle; its steps are taken over by the other."""
    del engine
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
        desks = [Desk(address, living=lambda: frozenset(map(holder_of, inside))) for _ in range(2)]
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

    asyncio.run(story())
    assert set(order) == set(range(200))
    assert most <= 10
    first = order[0] % 2  # the desk whose first turn came first stands before the other with all it asked for
    arrival = {number: rank for rank, number in enumerate(sorted(range(200), key=lambda n: (n % 2 != first, n)))}
    late = [position - arrival[number] for position, number in enumerate(dict.fromkeys(order))]
    assert max(late) <= 20, "somebody was overtaken by many"


def test_database_away_lets_nobody_in_and_nobody_fails(tmp_path: Path) -> None:
    async def story() -> bool:
        desk = Desk(f"sqlite:///{tmp_path / 'missing' / 'x.db'}", living=frozenset)
        loop = asyncio.create_task(desk.run())
        run = Identity(dag_id="p", run_id="r", task_id="t", try_number=1, logical_date="", ti_id="1")
        entering = asyncio.create_task(desk.enter(run, Limits(cluster=1)))
        await asyncio.wait({entering}, timeout=1.5)
        waits = not entering.done()
        (tmp_path / "missing").mkdir()
        async with asyncio.timeout(10):
            await entering
        loop.cancel()
        await asyncio.wait({loop})
        return waits

    assert asyncio.run(story())
