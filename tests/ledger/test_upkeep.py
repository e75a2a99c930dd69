"""`invalidate` and `gc`: what goes, what stays, and never what runs or would be hit."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.ledger.world import Clock, Stores, ask, done, failed, key, ran
from tidegate.ledger import Claim, Hit, LedgerError, upkeep

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegate.ledger import Ledger

OLD = timedelta(days=100)
LIMIT = timedelta(days=90)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def aged(opened: Callable[..., Ledger], clock: Clock) -> Ledger:
    return opened(clock=clock)


def gone(ledger: Ledger, **options: bool) -> list[int]:
    return [row.id for row in ledger.do(upkeep.gc(older_than=LIMIT, **options))]


def test_gc_keeps_what_would_be_hit_and_what_runs(aged: Ledger, clock: Clock, stores: Stores) -> None:
    failure = ran(aged, ask(1), failed())
    first = ran(aged, ask(2), done(stores))
    best = ran(aged, ask(3, force=True), done(stores))
    aged.begin(ask(4, work=key(params={})))
    assert gone(aged) == []
    clock.ahead = OLD
    assert gone(aged, dry_run=True) == [failure.id, first.id]
    assert gone(aged) == [failure.id, first.id]
    assert gone(aged) == []
    verdict = aged.begin(ask(5))
    assert isinstance(verdict, Hit)
    assert verdict.row.id == best.id


def test_gc_with_hits_spares_what_was_used_lately(aged: Ledger, clock: Clock, stores: Stores) -> None:
    row = ran(aged, ask(1), done(stores))
    clock.ahead = OLD
    assert isinstance(aged.begin(ask(2)), Hit)
    assert gone(aged, also_hits=True) == []
    clock.ahead = 2 * OLD
    assert gone(aged) == []
    assert gone(aged, also_hits=True) == [row.id]
    assert isinstance(aged.begin(ask(3)), Claim)


def test_gc_removes_what_has_outlived_its_time(aged: Ledger, clock: Clock, stores: Stores) -> None:
    row = ran(aged, ask(1, ttl=timedelta(days=1)), done(stores))
    clock.ahead = OLD
    assert gone(aged) == [row.id]


def test_fencing_numbers_are_not_used_again_after_gc(aged: Ledger, clock: Clock) -> None:
    row = ran(aged, ask(1), failed())
    clock.ahead = OLD
    assert gone(aged) == [row.id]
    verdict = aged.begin(ask(2))
    assert isinstance(verdict, Claim)
    assert verdict.fence > row.id


def test_invalidate_takes_filters_and_leaves_the_rest(ledger: Ledger, stores: Stores) -> None:
    mine = ran(ledger, ask(1), done(stores, "mine"))
    ran(ledger, ask(1, task=ask(2).task, work=key(step="other")), done(stores, "other"))
    running = ledger.begin(ask(3, work=key(params={})))
    assert isinstance(running, Claim)
    found = ledger.do(upkeep.invalidate({"step": "train_model", "pipeline": "petrol"}, why="bad"))
    assert [row.id for row in found] == [mine.id]
    assert ledger.do(upkeep.invalidate({"step": "train_model"}, why="again")) == ()
    assert isinstance(ledger.begin(ask(4, work=key(step="other"))), Hit)
    assert ledger.close(running, done(stores)) is not None, "what runs is not touched"
    with pytest.raises(LedgerError, match="name what"):
        ledger.do(upkeep.invalidate({}, why="all"))
