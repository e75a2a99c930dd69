"""One runs, the others wait; a dead holder is taken over, and what it writes late changes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import IntegrityError

from tests.ledger.world import Clock, Stores, ask, done, failed, key, ran, run
from tidegate.ledger import Claim, Ended, Hit, LeaseLost, NoSuchRow, State, Wait, attempts, rows, upkeep
from tidegate.ledger.decide import Take
from tidegate.ledger.model import Reason
from tidegate.ledger.transaction import Tx

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegate.ledger import Ledger, Request, Row

PAST_LEASE = timedelta(seconds=91)


def claimed(ledger: Ledger, request: Request) -> Claim:
    verdict = ledger.begin(request)
    assert isinstance(verdict, Claim), verdict
    return verdict


def ids(replaced: tuple[Row, ...]) -> list[int]:
    return [row.id for row in replaced]


def test_the_same_work_in_flight_is_waited_for_then_hit(ledger: Ledger, stores: Stores) -> None:
    claim = claimed(ledger, ask(1))
    verdict = ledger.begin(ask(2))
    assert isinstance(verdict, Wait)
    assert verdict.row.id == claim.fence
    assert 0 < verdict.seconds <= 2
    ledger.close(claim, done(stores))
    assert isinstance(ledger.obtain(ask(2), at_most=5), Hit)


def test_other_work_does_not_wait(ledger: Ledger) -> None:
    claimed(ledger, ask(1))
    claimed(ledger, ask(2, work=key(params={"n_estimators": 201})))


def test_whoever_waits_for_a_failure_runs(ledger: Ledger) -> None:
    ledger.close(claimed(ledger, ask(1)), failed())
    assert claimed(ledger, ask(2)).row.attempt == 2


def test_a_heartbeat_keeps_a_lease(opened: Callable[..., Ledger]) -> None:
    clock = Clock()
    ledger = opened(clock=clock)
    claim = claimed(ledger, ask(1))
    for _ in range(4):
        clock.ahead += timedelta(seconds=60)
        assert ledger.do(attempts.renew([claim])) == frozenset()
    assert isinstance(ledger.begin(ask(2)), Wait)


def test_a_lapsed_lease_is_taken_over_with_a_higher_number_and_the_late_write_refused(
    opened: Callable[..., Ledger], stores: Stores
) -> None:
    clock = Clock()
    ledger = opened(clock=clock)
    old = claimed(ledger, ask(1))
    clock.ahead = PAST_LEASE
    new = claimed(ledger, ask(2))
    assert new.fence > old.fence
    assert (new.row.reason, new.row.attempt, ids(new.replaced)) == ("lease_lapsed", 2, [old.fence])
    with pytest.raises(LeaseLost, match="taken_over"):
        ledger.close(old, done(stores, "late"))
    with pytest.raises(LeaseLost):
        ledger.do(attempts.note(old, pod="late"))
    assert ledger.do(attempts.renew([old, new])) == {old.fence}
    row = ledger.do(lambda tx: rows.by_id(tx, old.fence))
    assert (row.state, row.outputs, row.pod) == ("failed", (), "")
    ledger.close(new, done(stores))
    assert isinstance(ledger.begin(ask(1)), Hit), "the old holder gets the new one's result"


def test_a_lapsed_lease_that_nobody_took_is_still_good(opened: Callable[..., Ledger], stores: Stores) -> None:
    clock = Clock()
    ledger = opened(clock=clock)
    claim = claimed(ledger, ask(1))
    clock.ahead = PAST_LEASE
    row = ledger.close(claim, done(stores))
    assert row is not None
    assert row.state is State.SUCCEEDED


def test_pods_of_all_replaced_attempts_are_named_even_when_a_taker_died_too(opened: Callable[..., Ledger]) -> None:
    clock = Clock()
    ledger = opened(clock=clock)
    ran(ledger, ask(1), failed())
    claims = []
    for number in (2, 3, 4):
        claims.append(claimed(ledger, ask(number)))
        clock.ahead += PAST_LEASE
    assert ids(claims[-1].replaced) == [claims[1].fence, claims[0].fence], "but not the one that ended by itself"
    again = claimed(ledger, ask(4))
    assert (again.resumed, again.fence, ids(again.replaced)) == (True, claims[-1].fence, ids(claims[-1].replaced))


def test_the_same_try_goes_on_with_its_own_attempt(ledger: Ledger) -> None:
    first = claimed(ledger, ask(1, force=True))
    again = claimed(ledger, ask(1, force=True))
    assert (again.fence, again.resumed, first.resumed) == (first.fence, True, False)


def test_the_next_try_of_the_same_task_is_another_holder(ledger: Ledger) -> None:
    claimed(ledger, ask(1))
    assert isinstance(ledger.begin(ask(task=run(1, try_number=2))), Wait)


@pytest.mark.parametrize("force", [False, True])
def test_a_try_that_is_over_is_not_run_again_when_its_triggerer_restarts(
    ledger: Ledger, stores: Stores, force: bool
) -> None:
    row = ran(ledger, ask(1, force=force), done(stores))
    verdict = ledger.begin(ask(1, force=force))
    assert isinstance(verdict, Ended)
    assert verdict.row == row
    other = ran(ledger, ask(task=run(2), work=key(params={})), failed())
    assert ledger.begin(ask(task=run(2), work=key(params={}))) == Ended(row=other)


def test_force_in_mid_run_starts_anew_and_the_old_result_is_refused(ledger: Ledger, stores: Stores) -> None:
    old = claimed(ledger, ask(1))
    new = claimed(ledger, ask(2, force=True))
    assert (ids(new.replaced), new.row.reason) == ([old.fence], "forced")
    with pytest.raises(LeaseLost, match="superseded"):
        ledger.close(old, done(stores, "old"))
    assert isinstance(ledger.begin(ask(1, force=True)), Wait), "a force counts once: no ping-pong"
    ledger.close(new, done(stores, "new"))
    verdict = ledger.begin(ask(3))
    assert isinstance(verdict, Hit)
    assert verdict.row.outputs[0].name == "new"


def test_force_runs_although_there_is_a_result(ledger: Ledger, stores: Stores) -> None:
    ran(ledger, ask(1), done(stores))
    assert claimed(ledger, ask(2, force=True)).row.reason == "forced"


def test_while_a_forced_run_is_in_flight_its_predecessor_is_not_trusted(ledger: Ledger, stores: Stores) -> None:
    ran(ledger, ask(1), done(stores))
    claimed(ledger, ask(2, force=True))
    assert isinstance(ledger.begin(ask(3)), Wait)


def test_a_relaunch_is_a_new_attempt_of_the_same_try(ledger: Ledger, stores: Stores) -> None:
    claim = claimed(ledger, ask(1))
    again = ledger.do(attempts.relaunch(claim, failed(exit_reason="oom_killed")))
    assert (again.row.attempt, again.row.reason, again.row.detail) == (2, "relaunched", "oom_killed")
    assert ids(again.replaced) == [claim.fence]
    with pytest.raises(LeaseLost):
        ledger.close(claim, done(stores))
    assert claimed(ledger, ask(1)).fence == again.fence


def test_closing_twice_with_the_same_result_is_fine_with_another_is_refused(ledger: Ledger, stores: Stores) -> None:
    claim, outcome = claimed(ledger, ask(1)), done(stores)
    assert ledger.close(claim, outcome) == ledger.close(claim, outcome)
    with pytest.raises(LeaseLost):
        ledger.close(claim, done(stores, "other"))
    with pytest.raises(LeaseLost):
        ledger.close(claim, failed())


def test_what_was_noted_on_the_way_stays(ledger: Ledger, stores: Stores) -> None:
    claim = claimed(ledger, ask(1))
    ledger.do(attempts.note(claim, pod="train-1", node="node-1", log_url="s3://logs/1"))
    row = ledger.close(claim, done(stores))
    assert row is not None
    assert (row.pod, row.node, row.log_url) == ("train-1", "node-1", "s3://logs/1")


def test_a_number_nobody_has_is_said_so(ledger: Ledger) -> None:
    with pytest.raises(NoSuchRow, match="no row 12345"):
        ledger.do(lambda tx: rows.by_id(tx, 12345))


def test_a_taker_and_a_heartbeat_at_once_never_both_win(opened: Callable[..., Ledger]) -> None:
    """The lease is renewed between the taker's look and its write: it must look again, and wait."""
    clock = Clock()
    ledger, other = opened(clock=clock), opened(clock=clock)
    claim = claimed(ledger, ask(1))
    clock.ahead = PAST_LEASE
    seen = ledger.do(lambda tx: rows.by_id(tx, claim.fence))
    assert other.do(attempts.renew([claim])) == frozenset()
    assert ledger.do(lambda tx: attempts.replace_attempt(tx, seen, forced=False)) is False
    assert isinstance(ledger.begin(ask(2)), Wait)


def test_a_result_in_other_hands_is_invalidated_while_it_is_checked(ledger: Ledger, stores: Stores) -> None:
    """Between asking the stores and recording the hit anything may happen; here: invalidate."""
    row = ran(ledger, ask(1), done(stores))
    honest = stores.seen

    def meanwhile(url: str) -> object:
        ledger.do(upkeep.invalidate_row(row.id, why="meanwhile"))
        return honest(url)

    stores.seen = meanwhile  # type: ignore[assignment,method-assign]
    assert claimed(ledger, ask(2)).row.reason == "invalidated"


def test_two_that_decided_on_the_same_rows_cannot_both_begin(ledger: Ledger) -> None:
    """Both saw an empty history; the second one's number is taken, whatever it could read by now."""
    claimed(ledger, ask(1))
    stale = Take(reason=Reason.NEW)
    with pytest.raises(IntegrityError), ledger.engine.begin() as conn:
        attempts._take(Tx(conn), ask(2), stale, [])
