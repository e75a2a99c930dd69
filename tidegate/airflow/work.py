"""What a try does on the cluster: its place among the running steps, its pod, its result; and whether it must at all.

Reads: the ledger, where there is one. Writes: as `once`, `launch` and `admission` say. Without a ledger every try runs.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tidegate.airflow import results
from tidegate.airflow.admission import admitted, limits
from tidegate.airflow.clerk import open_clerk
from tidegate.airflow.failures import Failure, Kind, Then
from tidegate.airflow.launch import Launch
from tidegate.airflow.once import Once
from tidegate.airflow.order import memory_cap
from tidegate.airflow.request import make_request
from tidegate.airflow.spec import SpecError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tidegate.airflow.attempts import Order
    from tidegate.airflow.clerk import Clerk
    from tidegate.airflow.kube import Pod
    from tidegate.airflow.patience import Budgets
    from tidegate.airflow.recorded import Result
    from tidegate.airflow.request import Asked
    from tidegate.airflow.watch import PodWatch
    from tidegate.ledger import Blind, Claim, Request, Verdict


class Work:
    """One try.

    Args:
        order: What to run.
        asked: What the run says beside it.
        watch: The shared watch of the order's namespace.
        config: Data of the ConfigMap of steps.
        say: Takes a line for the task log, and what is put into it.
        emit: Takes a line of the pod's log and its timestamp.
    """

    def __init__(
        self,
        order: Order,
        asked: Asked,
        *,
        watch: PodWatch,
        config: Mapping[str, str],
        say: Callable[..., None],
        emit: Callable[[str, str], None],
    ) -> None:
        self._order, self._asked, self._watch, self._config = order, asked, watch, config
        self._say, self._emit = say, emit
        self._once: Once | None = None

    async def result(self, *, budgets: Budgets, queue: float) -> Result | Failure:
        """The step's result, of its pod or of an earlier one that did the same.

        Args:
            budgets: How long its pod may take for what.
            queue: Seconds to wait, for the same work elsewhere and for a place among the running steps.
        """

        async def launch(claim: Claim | None, took: Callable[[Pod], None]) -> Result | Failure:
            holds = _holds(clerk, claim)
            launched = Launch(
                self._fenced(claim),
                watch=self._watch,
                budgets=budgets,
                memory_cap=memory_cap(self._config, self._order.spec.name),
                say=self._say,
                emit=self._emit,
                took=took,
                holds=holds,
            )
            run, places = self._order.run, limits(self._config)
            left = max(0.0, until - time.monotonic())
            async with admitted(run, places, watch=self._watch, within=left, say=self._say) as late:
                return late or await self._parsed(launched)

        until = time.monotonic() + queue
        clerk = await open_clerk()
        request = await self._request(clerk) if clerk else None
        if clerk is None or request is None:
            return await launch(None, lambda _: None)
        self._order = replace(self._order, run=replace(self._order.run, ledger_key=request.key.digest))
        self._once = Once(clerk, request, watch=self._watch, launch=launch, say=self._say, within=queue)
        return await self._once.run()

    @property
    def verdict(self) -> Verdict | Blind | None:
        """What the ledger said last; None where it was not asked."""
        return self._once.verdict if self._once else None

    async def stopped(self) -> None:
        """Tell the ledger that a person stopped the task."""
        if self._once is not None:
            await self._once.stopped()

    async def _request(self, clerk: Clerk) -> Request | None:
        """The question, or None where a store or Kubernetes does not tell what it needs."""
        try:
            return await make_request(self._order, self._asked, probe=clerk.ledger.probe, pods=self._watch.pods)
        except SpecError:
            raise
        except Exception as fault:
            self._say("the ledger is not asked, the step runs: %s: %s", type(fault).__name__, fault)
            return None

    def _fenced(self, claim: Claim | None) -> Order:
        if claim is None:
            return self._order
        return replace(self._order, fence=claim.fence, barred=frozenset(row.id for row in claim.replaced))

    async def _parsed(self, launched: Launch) -> Result | Failure:
        """The pod's result."""
        outcome = await launched.run()
        if isinstance(outcome, Failure):
            return outcome
        try:
            return await results.follow_pointer(results.parse(outcome.message), say=self._say)
        except results.BadResult as fault:
            return Failure(kind=Kind.BAD_RESULT, message=str(fault), then=Then.STOP)


def _holds(clerk: Clerk | None, claim: Claim | None) -> Callable[[], Awaitable[bool]] | None:
    """What a launch asks before it makes a pod anew."""
    if clerk is None or claim is None:
        return None
    return lambda: clerk.holds(claim)
