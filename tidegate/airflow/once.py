"""One step's work under the ledger: its result again where that holds, its pod where it must run.

    begin --> Hit ----> the recorded result, no pod
          --> Wait ---> ask again in a moment; no pod, no worker, no place among the running; a failure in the end
          --> Claim --> pods of earlier attempts are gone first; pod with the attempt's number; close with the result
          --> Ended --> this try's own end, told once more
          --> Blind --> the ledger is down: the pod runs, its row is written later

Again: a try that is begun again gets its own attempt back and finds its pod by name. An attempt that lost its lease
stops following its pod, whose result is nobody's, and asks anew. Who waits while the ledger goes away waits on as long
as the other's lease may hold: the work is done once over an outage that is shorter than a lease.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from tidegate.airflow import attempts
from tidegate.airflow.failures import Failure, Kind, Then
from tidegate.airflow.identity import selector
from tidegate.airflow.recorded import failure_of, outcome_of, result_of
from tidegate.ledger import Blind, Claim, Ended, Hit, LeaseLost, LedgerError, Outcome, State, Wait
from tidegate.ledger.attempts import give_up, note

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tidegate.airflow.clerk import Clerk
    from tidegate.airflow.kube import Pod
    from tidegate.airflow.recorded import Result
    from tidegate.airflow.watch import PodWatch
    from tidegate.ledger import Request, Row, Verdict

STOPPED = "stopped"
"""Exit reason of an attempt whose task a person stopped."""


class Once:
    """One try.

    Args:
        clerk: The ledger.
        request: The question.
        watch: The shared watch of the steps' namespace.
        launch: Runs the step's pod under an attempt's number (0: none), to its result; shows the pod first and last.
        say: Takes a line for the task log.
        within: Seconds to wait for the same work elsewhere.
    """

    def __init__(
        self,
        clerk: Clerk,
        request: Request,
        *,
        watch: PodWatch,
        launch: Callable[[Claim | None, Callable[[Pod], None]], Awaitable[Result | Failure]],
        say: Callable[..., None],
        within: float,
    ) -> None:
        self._within = within
        self._clerk, self._ledger, self._request = clerk, clerk.ledger, request
        self._watch, self._launch, self._say = watch, launch, say
        self.verdict: Verdict | Blind | None = None
        self._claim: Claim | None = None
        self._pod, self._node = "", ""
        self._notes: set[asyncio.Task[None]] = set()

    async def run(self) -> Result | Failure:
        """See the module's picture."""
        while True:
            verdict = await self._turn()
            if isinstance(verdict, Wait):
                return await self._gave_up(verdict)
            try:
                return await self._on(verdict)
            except LeaseLost as fault:
                self._say("%s; asking the ledger anew", fault)

    async def stopped(self) -> None:
        """Close the attempt of a task that a person stopped: nobody need wait for its lease to lapse."""
        if self._claim is not None:
            with suppress(LedgerError):
                await self._ledger.close(self._claim, Outcome(state=State.FAILED, exit_reason=STOPPED, pod=self._pod))

    async def _on(self, verdict: Hit | Claim | Ended | Blind) -> Result | Failure:
        self.verdict = verdict
        match verdict:
            case Hit(row=row):
                self._say(
                    "nothing has changed since row %s (%s, %s): its result is used", row.id, row.pipeline, row.run_id
                )
                return result_of(row)
            case Ended(row=row):
                self._say("this try has ended before, as row %s", row.id)
                return result_of(row) if row.state is State.SUCCEEDED else failure_of(row)
            case Claim():
                return await self._claimed(verdict)
        self._say("the ledger does not answer, the step runs without it: %s", verdict.cause)
        return await self._closed(verdict, await self._launch(None, self._took))

    async def _turn(self) -> Verdict | Blind:
        """Wait until it is this try's turn; a Wait where that takes too long."""
        until, seen, last = time.monotonic() + self._within, 0.0, None
        while True:
            verdict = await self._ledger.begin(self._request)
            if isinstance(verdict, Wait) and self._of_an_earlier_try(verdict.row):
                self._request = replace(self._request, force=True)
                continue
            if isinstance(verdict, Wait):
                if last is None or last.row.id != verdict.row.id:
                    self._say("the same work is under way in %s, row %s: waiting for it", *_where(verdict))
                seen, last = time.monotonic(), verdict
            elif not isinstance(verdict, Blind) or last is None or time.monotonic() >= seen + self._lease:
                return verdict
            if time.monotonic() >= until:
                return last
            await asyncio.sleep(min(last.seconds, self._within))

    @property
    def _lease(self) -> float:
        return self._request.lease.total_seconds()

    def _of_an_earlier_try(self, row: Row) -> bool:
        """Of such a one there is nothing to wait for: Airflow has given it up."""
        mine = self._request.task
        same = (mine.pipeline, mine.run_id, mine.task_id, mine.map_index)
        return same == (row.pipeline, row.run_id, row.task_id, row.map_index) and row.try_number < mine.try_number

    async def _gave_up(self, verdict: Wait) -> Failure:
        """Say whom it waited for and how to go on."""
        with suppress(LedgerError):
            await self._ledger.do(give_up(self._request, verdict.row))
        where, number = _where(verdict)
        message = f"the same work is still under way in {where}, row {number}, after {self._within:.0f} s of waiting"
        return Failure(kind=Kind.IN_FLIGHT, message=message, then=Then.RETRY, started=False)

    async def _claimed(self, claim: Claim) -> Result | Failure:
        self._claim = claim
        why = claim.row.reason if not claim.row.detail else f"{claim.row.reason}: {claim.row.detail}"
        self._say("row %s of the ledger, %s; runs because: %s", claim.fence, self._request.key.digest[:12], why)
        async with self._clerk.holding(claim) as lost:
            if claim.row.attempt > 1:
                await self._remove_others(claim)
            found = await _unless(lost, self._launch(claim, self._took))
        return await self._closed(claim, found)

    async def _closed(self, ticket: Claim | Blind, found: Result | Failure) -> Result | Failure:
        """Write the end. A late end of an attempt that another replaced raises LeaseLost: its result is nobody's."""
        await asyncio.gather(*self._notes)
        row = await self._ledger.close(ticket, outcome_of(found, pod=self._pod, node=self._node))
        if row is None:
            self._say("the ledger does not answer: the step's row is written when it does")
        self._claim = None
        return found

    def _took(self, pod: Pod) -> None:
        """Write down where the attempt runs, beside its running; its node, known later, is written at the end."""
        seen, self._pod = self._pod, pod["metadata"]["name"]
        self._node = str(pod.get("spec", {}).get("nodeName") or "")
        if self._claim is not None and self._pod != seen:
            self._notes.add(asyncio.create_task(self._noted(self._claim, self._pod)))

    async def _noted(self, claim: Claim, pod: str) -> None:
        with suppress(LedgerError):
            await self._ledger.do(note(claim, pod=pod))

    async def _remove_others(self, claim: Claim) -> None:
        """Delete the pods of the key's other attempts, and wait until they are gone: the work is done once."""
        labels = {attempts.KEY: attempts.key_label(self._request.key.digest)}
        pods, _ = await self._watch.pods.select(selector(labels))
        others = [pod for pod in pods if attempts.fence_of(pod) != claim.fence and attempts.unfinished(pod)]
        await asyncio.gather(*(self._remove(pod) for pod in others))

    async def _remove(self, pod: Pod) -> None:
        self._say("deleting pod %s of an attempt that was replaced", pod["metadata"]["name"])
        await attempts.remove(self._watch, pod)


def _where(verdict: Wait) -> tuple[str, int]:
    row = verdict.row
    return f"{row.pipeline}, run {row.run_id}, task {row.task_id}", row.id


async def _unless(lost: asyncio.Event, work: Awaitable[Result | Failure]) -> Result | Failure:
    """Do `work` unless the lease is lost meanwhile; then it is cancelled, which ends no pod."""
    doing, losing = asyncio.ensure_future(work), asyncio.ensure_future(lost.wait())
    try:
        await asyncio.wait({doing, losing}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise LeaseLost("another attempt has taken over")
    finally:
        for task in (doing, losing):
            task.cancel()
        await asyncio.gather(doing, losing, return_exceptions=True)
