"""The ledger's role locked out for a minute in mid-run, on a real PostgreSQL: no run fails, no row is lost.

And no work is done twice, but for two runs that begin it while nobody can tell them of each other. Nothing is
shortened, neither the minute nor the ledger's lease and heartbeat, so this waits for a minute and does little: it is a
part of its rung that runs beside the others.
"""

# What is waited for happens in another task of the loop: there is no event to await.
# ruff: noqa: ASYNC110

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from airflow.triggers.base import TaskSuccessEvent
from sqlalchemy import make_url

from tests.steps.ledger_scene import World
from tests.steps.test_ledger_races import Triggerer, triggerer
from tidegate.ledger import HEARTBEAT
from tidegate.ledger.migrate import migrate

if TYPE_CHECKING:
    from pathlib import Path

ROLE = "ledger_of_steps"
OUTAGE = 60.0
SLEEPS = 'import json, os, time; time.sleep(json.loads(os.environ["TIDEGATE_PARAMS"])["seconds"])'


@pytest.fixture
def world(postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A ledger that a role of its own uses, as the chart makes one."""
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD 'hidden'")
        connection.execute(f"CREATE DATABASE {ROLE} OWNER {ROLE}")
    url = make_url(postgresql).set(username=ROLE, password="hidden", database=ROLE)
    address = url.render_as_string(hide_password=False)
    migrate(address)
    monkeypatch.setenv("TIDEGATE_LEDGER_URL", address)
    monkeypatch.setenv("TIDEGATE_LEDGER_SPOOL", str(tmp_path / "spool"))
    return World(folder=tmp_path, address=address, before=SLEEPS)


async def lock(admin: str, *, out: bool) -> None:
    """Refuse the role, and cut what it has open; or let it in again."""
    async with await psycopg.AsyncConnection.connect(admin, autocommit=True) as connection:
        await connection.execute(f"ALTER ROLE {ROLE} {'NOLOGIN' if out else 'LOGIN'}")
        if out:
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
            await connection.execute(cut, [ROLE])


def begun(scene: Triggerer, run_id: str, *, seconds: float, n: int) -> asyncio.Task[Any]:
    dag = scene.world.dag(params={"seconds": seconds, "n": n})
    return scene.start(run_id, dag=dag)


def spooled(world: World) -> list[Path]:
    """The rows that wait for the ledger."""
    return list((world.folder / "spool").glob("*.json"))


def test_a_minute_without_the_ledger_fails_no_run_and_loses_no_row(world: World, postgresql: str) -> None:
    async def case() -> None:
        async with triggerer(world) as scene:
            runs = [
                begun(scene, "ends within", seconds=4, n=1),
                begun(scene, "ends after", seconds=OUTAGE + 4, n=2),
            ]
            await scene.until_created(2)
            runs.append(begun(scene, "waits through", seconds=OUTAGE + 4, n=2))
            await asyncio.sleep(1)
            await lock(postgresql, out=True)
            runs += [
                begun(scene, "within", seconds=0, n=3),
                begun(scene, "begun within", seconds=OUTAGE, n=4),
                begun(scene, "one of two", seconds=0, n=5),
                begun(scene, "two of two", seconds=0, n=5),
            ]
            await asyncio.sleep(OUTAGE)
            assert spooled(world), "nothing was spooled: the role was not locked out"
            await lock(postgresql, out=False)
            assert all(isinstance(event, TaskSuccessEvent) for event in await asyncio.gather(*runs))
            async with asyncio.timeout(2 * HEARTBEAT.total_seconds()):
                while spooled(world):
                    await asyncio.sleep(0.2)

    asyncio.run(case())
    uses = {use.task.run_id: use for use in world.uses()}
    twins = [uses.pop(name).row for name in ("one of two", "two of two")]
    assert sorted((row.state, row.exit_reason) for row in twins) == [("invalidated", "duplicate"), ("succeeded", "")]
    assert {use.row.state for use in uses.values()} == {"succeeded"}
    blind = {name for name, use in uses.items() if use.row.reason == "ledger_down"}
    assert blind == {"within", "begun within"}
    assert uses["waits through"].row.id == uses["ends after"].row.id
    assert world.ran == len(uses) - 1 + len(twins), "the one that waited ran the work once more"
    assert not list((world.folder / "spool").glob("*")), "a row was left, or refused"
