"""What `tidegate status` says of the ledger: leases, who waits, and how the last hour's steps ended."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.ledger.world import Clock, Stores, ask, done, failed, key, ran, run
from tidegate.ledger import Claim, Hit, Wait
from tidegate.ledger.admission import Entry, Limits, turn
from tidegate.ledger.pulse import Pulse, pulse

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegate.ledger import Ledger

HOUR = timedelta(hours=1)
NOTHING = Pulse(running=0, lapsed=0, waiting=0, queued=0, succeeded=0, failed=0, hits=0, failures={})


def test_an_empty_ledger_tells_of_nothing(ledger: Ledger) -> None:
    assert ledger.do(pulse(since=HOUR)) == NOTHING


def test_what_runs_waits_and_ended_is_counted(opened: Callable[..., Ledger], stores: Stores) -> None:
    clock = Clock()
    ledger = opened(clock=clock)
    ran(ledger, ask(1), failed())
    ran(ledger, ask(2), failed(exit_reason="out_of_memory"))
    ran(ledger, ask(3), done(stores))
    assert isinstance(ledger.begin(ask(4)), Hit)
    other = key(params={"n_estimators": 1})
    assert isinstance(ledger.begin(ask(5, work=other)), Claim)
    assert isinstance(ledger.begin(ask(6, work=other)), Wait)
    entries = [Entry(holder=f"try-{number}", task=run(number)) for number in (7, 8)]
    ledger.do(turn(entries, leaving=(), limits=Limits(cluster=1), living=None))
    failures = {"application_error": 1, "out_of_memory": 1}
    assert ledger.do(pulse(since=HOUR)) == Pulse(
        running=1, lapsed=0, waiting=1, queued=1, succeeded=1, failed=2, hits=1, failures=failures
    )
    clock.ahead = 2 * HOUR
    later = ledger.do(pulse(since=HOUR))
    assert later == Pulse(**vars(NOTHING) | {"lapsed": 1}), "the past is over, and nobody has renewed the lease"
