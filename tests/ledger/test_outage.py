"""The ledger being down never loses a result: the step runs, the row is written later, and fencing still holds."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from tests.ledger.world import Clock, Stores, ask, at, done, failed, ran
from tidegate.ledger import (
    Blind,
    Claim,
    Hit,
    LeaseLost,
    Ledger,
    NotMigrated,
    Proof,
    Spool,
    Unreachable,
    attempts,
    rows,
)
from tidegate.ledger.spool import entry_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.ledger.conftest import Server

ROLE = "ledger_role"


@pytest.fixture
def role(server: Server, db: str) -> str:
    """The ledger's address as a role that can be locked out."""
    url = make_url(db)
    if server.kind == "sqlite":
        return f"{db}?timeout=0.2"
    with server.connect() as connection:
        cursor = connection.cursor()
        if server.kind == "mariadb":
            cursor.execute(f"CREATE OR REPLACE USER {ROLE}@'127.0.0.1' IDENTIFIED BY 'hidden'")
            cursor.execute(f"GRANT ALL ON {url.database}.* TO {ROLE}@'127.0.0.1'")
        else:
            cursor.execute(f"SELECT 1 FROM pg_roles WHERE rolname = '{ROLE}'")
            cursor.fetchone() or cursor.execute(f"CREATE ROLE {ROLE} LOGIN SUPERUSER PASSWORD 'hidden'")
    return url.set(username=ROLE, password="hidden").render_as_string(hide_password=False)


@contextmanager
def locked_out(server: Server, db: str) -> Iterator[None]:
    """The role may not log in, and what it had open is cut; on SQLite another process holds the file."""
    if server.kind == "sqlite":
        connection = sqlite3.connect(make_url(db).database or "", isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
        connection.close()
        return
    with server.connect() as connection:
        cursor = connection.cursor()
        if server.kind == "mariadb":
            cursor.execute(f"ALTER USER {ROLE}@'127.0.0.1' ACCOUNT LOCK")
            cursor.execute(f"KILL USER {ROLE}@'127.0.0.1'")
            yield
            cursor.execute(f"ALTER USER {ROLE}@'127.0.0.1' ACCOUNT UNLOCK")
        else:
            cursor.execute(f"ALTER ROLE {ROLE} NOLOGIN")
            cursor.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'")
            yield
            cursor.execute(f"ALTER ROLE {ROLE} LOGIN")


@pytest.fixture
def guest(role: str, stores: Stores, tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(role, probe=stores, spool=Spool(tmp_path / "spool"))
    yield ledger
    ledger.shut()


def test_locked_out_in_mid_run_the_row_is_written_when_it_is_back(
    guest: Ledger, server: Server, db: str, stores: Stores
) -> None:
    claim = guest.begin(ask(1))
    assert isinstance(claim, Claim)
    with locked_out(server, db):
        with pytest.raises(Unreachable) as caught:
            guest.do(attempts.renew([claim]))
        assert "hidden" not in str(caught.value)
        assert guest.close(claim, done(stores)) is None
        assert guest.flush().written == 0
    assert guest.flush().written == 1
    assert guest.flush().written == 0, "it is forgotten"
    verdict = guest.begin(ask(2))
    assert isinstance(verdict, Hit)
    assert (verdict.row.id, verdict.row.metrics) == (claim.fence, {"r2": 0.81})


def test_locked_out_at_the_start_the_step_runs_blind_and_its_row_comes_later(
    guest: Ledger, server: Server, db: str, stores: Stores
) -> None:
    with locked_out(server, db):
        ticket = guest.begin(ask(1, run_params={"parameter_1": "x"}, ttl=timedelta(days=1)))
        assert isinstance(ticket, Blind)
        assert guest.close(ticket, done(stores)) is None
    assert guest.flush().written == 1
    verdict = guest.begin(ask(2))
    assert isinstance(verdict, Hit)
    assert (verdict.row.reason, verdict.row.run_id) == ("ledger_down", "scheduled__1")
    assert verdict.row.datetime_started == ticket.started
    assert verdict.row.ttl_seconds == 86400


def test_without_a_spool_an_outage_is_an_error(guest: Ledger, server: Server, db: str) -> None:
    guest.spool = None
    with locked_out(server, db), pytest.raises(Unreachable, match="cannot be used"):
        guest.begin(ask(1))


def test_a_late_write_does_not_pass_the_fence(opened: Callable[..., Ledger], stores: Stores, tmp_path: Path) -> None:
    clock = Clock()
    ledger = opened(clock=clock)
    old = ledger.begin(ask(1))
    assert isinstance(old, Claim)
    spool = Spool(tmp_path / "spool")
    spool.put(entry_of(old, done(stores, "late")))
    clock.ahead = timedelta(seconds=91)
    assert isinstance(ledger.begin(ask(2)), Claim)
    flushed = ledger.flush()
    assert (flushed.written, len(flushed.refused)) == (0, 1)
    assert "taken_over" in flushed.refused[0]
    assert spool.entries() == []
    assert len(list((tmp_path / "spool").glob("*.refused"))) == 1, "kept for people"


def test_a_blind_row_written_twice_is_one_row(opened: Callable[..., Ledger], stores: Stores) -> None:
    ledger = opened()
    begun = ledger.do(lambda tx: tx.now)
    ticket, outcome = Blind(request=ask(1), started=begun, cause="down"), done(stores)
    assert ledger.close(ticket, outcome) == ledger.close(ticket, outcome)
    assert len(ledger.do(lambda tx: rows.matching(tx, {}, limit=10))) == 1


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_blind_runs_of_the_same_work_the_last_to_end_counts(
    ledger: Ledger, stores: Stores, tmp_path: Path, turned: bool
) -> None:
    """Whichever triggerer writes its rows first."""
    spool, begun = Spool(tmp_path / "spool"), ledger.do(lambda tx: tx.now)
    ends = {number: begun + timedelta(seconds=number) for number in (1, 2)}
    for number in sorted(ends, reverse=turned):
        ticket = Blind(request=ask(number), started=begun, cause="down")
        entry = replace(entry_of(ticket, done(stores, f"of-{number}")), at=ends[number])
        spool.put(entry)
        assert (ledger.flush().written, spool.entries()) == (1, [])
    found = {row.run_id: row for row in ledger.do(lambda tx: rows.matching(tx, {}, limit=10))}
    first, last = found["scheduled__1"], found["scheduled__2"]
    assert (last.state, last.exit_reason) == ("succeeded", "")
    assert (first.state, first.exit_reason) == ("invalidated", "duplicate")
    assert f"row {last.id} is the same work" in first.message
    verdict = ledger.begin(ask(3))
    assert isinstance(verdict, Hit)
    assert verdict.row == last


def test_a_double_that_is_written_again_stays_one_row(ledger: Ledger, stores: Stores) -> None:
    begun, outcome = ledger.do(lambda tx: tx.now), done(stores)
    for number in (1, 2, 1, 2):
        ledger.close(Blind(request=ask(number), started=begun, cause="down"), outcome)
    found = ledger.do(lambda tx: rows.matching(tx, {}, limit=10))
    assert {row.run_id: row.state for row in found} == {"scheduled__2": "succeeded", "scheduled__1": "invalidated"}
    assert len(found) == 2


def test_an_older_result_is_no_double_of_a_blind_run(ledger: Ledger, stores: Stores) -> None:
    old = ran(ledger, ask(1), done(stores, "old"))
    begun = ledger.do(lambda tx: tx.now)
    ledger.close(Blind(request=ask(2), started=begun, cause="down"), done(stores, "new"))
    assert ledger.do(lambda tx: rows.by_id(tx, old.id)).state == "succeeded"


def test_a_blind_run_whose_claim_was_written_after_all_closes_it(ledger: Ledger, stores: Stores) -> None:
    """The answer to `begin` was lost after the database had committed it."""
    claim = ledger.begin(ask(1))
    assert isinstance(claim, Claim)
    row = ledger.close(Blind(request=ask(1), started=claim.row.datetime_started, cause="cut"), done(stores))
    assert row is not None
    assert (row.id, row.state) == (claim.fence, "succeeded")


def test_a_blind_run_whose_claim_was_taken_over_is_refused(opened: Callable[..., Ledger], stores: Stores) -> None:
    """Its begin was committed unseen, it ran without a heartbeat, and another has the lease by now."""
    clock = Clock()
    ledger = opened(clock=clock)
    claim = ledger.begin(ask(1))
    assert isinstance(claim, Claim)
    clock.ahead = timedelta(seconds=91)
    assert isinstance(ledger.begin(ask(2)), Claim)
    with pytest.raises(LeaseLost, match="taken_over"):
        ledger.close(Blind(request=ask(1), started=claim.row.datetime_started, cause="cut"), done(stores))


def test_a_blind_row_beside_a_running_attempt_does_not_end_its_lease(ledger: Ledger, stores: Stores) -> None:
    claim = ledger.begin(ask(1))
    assert isinstance(claim, Claim)
    ledger.close(Blind(request=ask(2), started=claim.row.datetime_started, cause="down"), done(stores, "blind"))
    assert ledger.do(attempts.renew([claim])) == frozenset()
    ledger.close(claim, done(stores, "own"))
    assert len({row.attempt for row in ledger.do(lambda tx: rows.matching(tx, {}, limit=10))}) == 2


def test_an_entry_survives_its_file_exactly(tmp_path: Path, stores: Stores) -> None:
    spool = Spool(tmp_path / "spool")
    request = ask(1, ttl=timedelta(hours=1), run_params={"a": [1, "1", True, None, 1.0]}, verify=lambda _: "")
    request = replace(request, proof=Proof.SIZE, log_url="/log")
    ticket = Blind(request=request, started=at(3), cause="down")
    kept = replace(done(stores), extra={"value": [1, None]}, peak_memory_bytes=2**40, cpu_seconds=0.5, node="n")
    spool.put(entry_of(ticket, kept))
    spool.put(entry_of(ticket, failed(message="late")))
    first, second = spool.entries()
    assert first.outcome == kept
    assert first.blind == replace(ticket, request=replace(request, verify=None))
    assert first.blind.request.proof is Proof.SIZE
    assert repr(first.blind.request.run_params) == repr(request.run_params)
    assert (second.outcome, second.at is not None) == (failed(message="late"), True)


def test_tables_that_are_missing_are_told_with_the_command(server: Server, stores: Stores) -> None:
    ledger = Ledger(server.new("empty_one"), probe=stores)
    with pytest.raises(NotMigrated, match="tidegate ledger migrate"):
        ledger.begin(ask(1))
    ledger.shut()
