"""Limits hold, the order of arrival holds, and a killed process neither blocks a place nor makes one too many."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.ledger.world import Clock, at, run
from tidegate.ledger.admission import FORGET, LEASE, Entry, Limits, Ticket, next_in, over, queue, turn

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tidegate.ledger import Ledger


def entry(number: int, pipeline: str = "petrol") -> Entry:
    task = run(number, pipeline=pipeline)
    return Entry(holder=task.holder, task=task)


def ticket(number: int, pipeline: str = "petrol", *, inside: bool = False, lapsed: bool = False) -> Ticket:
    expires = at(3) - timedelta(seconds=1) if lapsed else at(3) + LEASE
    admitted = at(2) if inside else None
    return Ticket(
        number=number,
        holder=str(number),
        task=run(number, pipeline=pipeline),
        asked=at(2),
        admitted=admitted,
        expires=expires,
    )


def chosen(tickets: list[Ticket], **limits: object) -> tuple[str, ...]:
    return next_in(tickets, Limits(**limits), now=at(3))


def test_in_order_of_arrival_up_to_the_limit() -> None:
    waiting = [ticket(number) for number in range(5)]
    assert chosen(waiting, cluster=2) == ("0", "1")
    assert chosen([replace(waiting[0], admitted=at(2)), *waiting[1:]], cluster=2) == ("1",)
    assert chosen(waiting) == ("0", "1", "2", "3", "4")
    assert chosen(waiting, cluster=0) == ()


def test_a_full_pipeline_lets_others_pass_a_full_cluster_nobody() -> None:
    tickets = [ticket(0, inside=True), ticket(1), ticket(2, "weather"), ticket(3), ticket(4, "weather")]
    assert chosen(tickets, pipelines={"petrol": 1}) == ("2", "4")
    assert chosen(tickets, pipelines={"petrol": 1}, cluster=2) == ("2",)
    assert chosen(tickets, pipelines={"petrol": 2, "weather": 1}) == ("1", "2")


def test_who_waits_without_a_sign_of_life_is_passed_over() -> None:
    assert chosen([ticket(0, lapsed=True), ticket(1)], cluster=1) == ("1",)


def test_a_lapsed_place_is_free_when_its_pod_is_gone_and_only_then() -> None:
    tickets = [ticket(0, inside=True, lapsed=True), ticket(1, inside=True), ticket(2, lapsed=True)]
    assert over(tickets, now=at(3), living=None) == frozenset()
    assert over(tickets, now=at(3), living={"0"}) == frozenset()
    assert over(tickets, now=at(3), living=set()) == {"0"}
    assert over(tickets, now=at(3) + FORGET, living=None) == {"2"}


def ask(
    ledger: Ledger,
    *entries: Entry,
    leaving: Collection[str] = (),
    living: Collection[str] | None = None,
    limit: int = 2,
) -> set[str]:
    inside = ledger.do(turn(entries, leaving=leaving, limits=Limits(cluster=limit), living=living))
    return {found.task.run_id.removeprefix("scheduled__") for found in entries if found.holder in inside}


def test_a_place_is_kept_given_back_and_taken_by_the_next(ledger: Ledger) -> None:
    first, second, third, fourth = (entry(number) for number in range(1, 5))
    assert ask(ledger, first, second, third, fourth) == {"1", "2"}
    assert ask(ledger, first, second, third, fourth) == {"1", "2"}
    assert ask(ledger, second, fourth, third, leaving=[first.holder]) == {"2", "3"}, "third was before fourth"
    assert [ticket.task.run_id[-1] for ticket in ledger.do(queue())] == ["2", "3", "4"]


def test_a_restarted_process_finds_its_places(opened: Callable[..., Ledger]) -> None:
    assert ask(opened(), entry(1), entry(2), entry(3)) == {"1", "2"}
    assert ask(opened(), entry(3), entry(2), entry(1)) == {"1", "2"}


def test_a_killed_process_never_makes_one_too_many(opened: Callable[..., Ledger]) -> None:
    clock = Clock()
    ledger = opened(clock=clock)
    dead = entry(1)
    assert ask(ledger, dead, limit=1) == {"1"}
    clock.ahead = LEASE + timedelta(seconds=1)
    assert ask(ledger, entry(2), limit=1, living=None) == set()
    assert ask(ledger, entry(2), limit=1, living={dead.holder}) == set()
    assert ask(ledger, entry(2), limit=1, living=set()) == {"2"}
    assert ask(ledger, dead, limit=1, living=set()) == set(), "it comes anew"


def test_who_comes_back_in_time_keeps_the_order(opened: Callable[..., Ledger]) -> None:
    clock = Clock()
    ledger = opened(clock=clock)
    ask(ledger, entry(1), entry(2), entry(3), limit=1)
    clock.ahead = LEASE + timedelta(seconds=1)
    assert ask(ledger, entry(1), entry(3), limit=2) == {"1", "3"}, "2 is passed over"
    assert ask(ledger, entry(1), entry(2), entry(3), entry(4), limit=3) == {"1", "2", "3"}


@pytest.mark.parametrize("processes", [4])
def test_two_triggerers_never_have_more_than_the_limit(opened: Callable[..., Ledger], processes: int) -> None:
    limit, rounds = 3, 4
    running: set[str] = set()
    most: list[int] = []
    lock = threading.Lock()

    def triggerer(number: int, ledger: Ledger) -> None:
        left = [entry(number * 100 + one) for one in range(rounds)]
        leaving: list[str] = []
        while left:
            with lock:
                running.difference_update(leaving)
            inside = ledger.do(turn(left, leaving=leaving, limits=Limits(cluster=limit), living=None))
            with lock:
                running.update(inside)
                most.append(len(running))
            leaving = list(inside)
            left = [one for one in left if one.holder not in inside]
        with lock:
            running.difference_update(leaving)
        ledger.do(turn([], leaving=leaving, limits=Limits(cluster=limit), living=None))

    threads = [threading.Thread(target=triggerer, args=[number, opened()]) for number in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert max(most) <= limit
    assert opened().do(queue()) == ()
