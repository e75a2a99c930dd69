"""One try of a step on the cluster: find its pod or make it, follow it to its end, start it anew where that is free.

Reads: pods. Writes: pods of this try, and a Secret for each that is given credentials; pods of earlier tries of the
same task instance are deleted first.
Again: called twice with the same try, even at once on two machines, it ends up with one pod: the name is fixed, the
second create is refused, and the second caller attaches. It never deletes a pod because it is itself cancelled.

A try whose worker was lost before it began (it was to end a step that had succeeded) is counted by Airflow, but keeps
its task instance id (apache-airflow 3.3.2, `handle_failure` of a task that is not running); every other way to a new
try, a clear among them, gives a new id. So the pod of an earlier try with the same id, doing the same and not failed,
is taken over: its work is not done twice.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tidegate.airflow import attempts, credentials, identity, metrics, notice
from tidegate.airflow.failures import (
    Failure,
    Kind,
    Running,
    Succeeded,
    Then,
    Waiting,
    deleted,
    gave_up,
    judge,
)
from tidegate.airflow.follow import PodLog
from tidegate.airflow.kube import Conflict, Forbidden, KubeError
from tidegate.airflow.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tidegate.airflow.attempts import Order
    from tidegate.airflow.kube import Pod
    from tidegate.airflow.patience import Budgets
    from tidegate.airflow.watch import Follower, PodWatch

MOST_RELAUNCHES = 5
"""Times a pod that was lost before its start is made again for free; after that the task's own retries count."""

LAST_WORD = 2.0
"""Seconds to wait for the pod's own reason after its container was killed, which may come one update later."""


class Launch:
    """One try of one step.

    Args:
        order: What to run.
        watch: The shared watch of the order's namespace.
        memory_cap: Up to where a pod that ran out of memory gets more; "" means it does not.
        say: Takes a line about what happens, for the task log.
        emit: Takes a line of the pod's log and its timestamp.
        took: Takes each pod that is followed, when it is found or made, and as it was at its end.
        holds: Asked before a pod is made anew: whether this is still the attempt that counts.
    """

    def __init__(
        self,
        order: Order,
        *,
        watch: PodWatch,
        budgets: Budgets,
        memory_cap: str,
        say: Callable[[str], None],
        emit: Callable[[str, str], None],
        took: Callable[[Pod], None] = lambda _: None,
        holds: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self._order, self._watch, self._pods = order, watch, watch.pods
        self._budgets, self._cap, self._say, self._emit = budgets, memory_cap, say, emit
        self._took, self._holds = took, holds

    async def run(self) -> Succeeded | Failure:
        """Run to the end, at most `budgets.total` seconds; then the pod is deleted."""
        try:
            async with asyncio.timeout(self._budgets.total):
                return await self._run()
        except TimeoutError:
            await stop_pods(self._watch, self._order.run)
            message = f"the step took longer than its timeout of {self._budgets.total:.0f} s"
            return Failure(kind=Kind.DEADLINE, message=message, then=Then.RETRY)

    async def _run(self) -> Succeeded | Failure:
        pod: Pod | Failure | None = await self._existing()
        attempt, memory, relaunches = 0, "", 0
        while True:
            pod = pod or await self._obtain(attempt, memory=memory)
            if isinstance(pod, Failure):
                return pod
            if refused := await self._furnish(pod):
                return refused
            attempt, memory = attempts.number(pod), attempts.memory_of(pod)
            self._took(pod)
            outcome = await self._follow(pod)
            if isinstance(outcome, Succeeded):
                return outcome
            relaunches += outcome.then is Then.RELAUNCH
            outcome = self._decide(outcome, memory=memory, relaunches=relaunches)
            if outcome.then not in {Then.RELAUNCH, Then.MORE_MEMORY} or (self._holds and not await self._holds()):
                return outcome
            memory = attempts.more_memory(memory, cap=self._cap) if outcome.then is Then.MORE_MEMORY else memory
            attempt, pod = attempt + 1, None
            self._say(f"{outcome.kind}: {outcome.message}; attempt {attempt} with {memory}, no retry is used up")
            await asyncio.sleep(min(2.0 ** (relaunches - 1), 30.0) if relaunches else 0)

    def _decide(self, failure: Failure, *, memory: str, relaunches: int) -> Failure:
        """Settle what a failure that may be started anew leads to."""
        if failure.then is Then.RELAUNCH and relaunches > MOST_RELAUNCHES:
            return replace(failure, then=Then.RETRY, message=f"{failure.message} ({relaunches} times in a row)")
        if failure.then is Then.MORE_MEMORY and not attempts.more_memory(memory, cap=self._cap):
            then = Then.RETRY if failure.guessed else Then.STOP
            return replace(failure, then=then, message=f"{failure.message}: out of memory, limit {memory}")
        return failure

    async def _existing(self) -> Pod | None:
        """Return the pod that a later try finds: its own, or a lost try's; what others left running is gone then."""
        run, wanted = self._order.run, self._order.pod(0)
        seen = any(attempts.of_try(pod, run) for pod in self._watch.current.values())
        if run.try_number == 1 and not seen:
            return None  # a pod that the watch does not know yet has the name that this order gives
        pods = [pod for pod in await _pods_of(self._watch, run) if not self._barred(pod)]
        own = [pod for pod in pods if attempts.of_try(pod, run)]
        lost = [pod for pod in pods if attempts.belongs(pod, run) and attempts.does_the_same(pod, wanted)]
        found = max(own, key=attempts.number, default=None) or max(lost, key=attempts.age, default=None)
        for pod in pods:
            if pod is not found and pod not in own and attempts.unfinished(pod):
                await self._remove(pod, why="an earlier try")
        if found:
            self._say(f"found pod {found['metadata']['name']} of {'this' if own else 'a lost'} try, attaching")
        return found

    def _barred(self, pod: Pod) -> bool:
        """Whether the pod is of an attempt that was replaced; who took its lease has seen to it."""
        fence, order = attempts.fence_of(pod), self._order
        other = bool(order.fence) and fence not in {0, order.fence} and attempts.of_try(pod, order.run)
        return other or fence in order.barred

    async def _remove(self, pod: Pod, *, why: str) -> None:
        self._say(f"deleting pod {pod['metadata']['name']} of {why}")
        await attempts.remove(self._watch, pod)

    async def _obtain(self, attempt: int, *, memory: str) -> Pod | Failure:
        """Create this attempt's pod, or find it, or a later attempt's that an earlier start of this try made."""
        wanted = self._order.pod(attempt, memory=memory)
        name = wanted["metadata"]["name"]
        while True:
            try:
                made = await self._pods.create(wanted)
            except Conflict:
                found = await self._pods.get(name)
                if found is None:
                    continue
                if attempts.belongs(found, self._order.run):
                    return await self._newest(found)
                await self._remove(found, why="a deleted run of the same name")
                continue
            except KubeError as fault:
                return _refused(fault, self._order.run)
            metrics.pod_made(self._order.run, step=self._order.spec.name)
            self._say(f"created pod {name}; its log: kubectl -n {made['metadata']['namespace']} logs {name}")
            return made

    async def _newest(self, found: Pod) -> Pod:
        """Return the pod of the highest attempt of this try."""
        pods = [pod for pod in await _pods_of(self._watch, self._order.run) if not self._barred(pod)]
        own = [pod for pod in pods if attempts.of_try(pod, self._order.run)]
        newest = max([found, *own], key=attempts.number)
        self._say(f"found pod {newest['metadata']['name']} of this try, attaching")
        return newest

    async def _follow(self, pod: Pod) -> Succeeded | Failure:
        name = pod["metadata"]["name"]
        log = PodLog(self._pods, name, emit=self._emit)
        try:
            async with self._watch.follow(pod) as follower:
                outcome = await self._outcome(follower, log)
            self._took(follower.pod or pod)
            if not isinstance(outcome, Failure) or outcome.started:
                short = await log.finish()
                if short:
                    self._say(f"the log of {name} may be incomplete: {short}")
        finally:
            await log.stop()
        if isinstance(outcome, Failure) and not outcome.started:
            await self._explain(name)
            await self._pods.delete(name, uid=pod["metadata"]["uid"])
        with suppress(KubeError):  # `reconcile` does it then
            await credentials.take_back(self._pods, pod)
        return outcome

    async def _furnish(self, pod: Pod) -> Failure | None:
        """Make the Secret that a pod waits for, or say why it cannot be; the pod goes then."""
        try:
            await credentials.furnish(self._pods, pod, self._order.credentials)
        except KubeError as fault:
            await self._pods.delete(pod["metadata"]["name"], uid=pod["metadata"]["uid"])
            return _refused(fault, self._order.run, what="the Secret for the pod")
        return None

    async def _outcome(self, follower: Follower, log: PodLog) -> Succeeded | Failure:
        patience = Patience(self._budgets)
        told = ""
        while True:
            verdict = _verdict(follower)
            if isinstance(verdict, Failure) and _hasty(follower) and await follower.changed(within=LAST_WORD):
                continue
            if isinstance(verdict, (Succeeded, Failure)):
                return verdict
            if isinstance(verdict, Running):
                log.start()
                await follower.changed()
                continue
            if verdict.why and verdict.why != told:
                told = verdict.why
                self._say(f"pod {follower.name} waits: {told}")
            if (left := patience.left(verdict)) <= 0:
                return gave_up(verdict, after=patience.waited)
            await follower.changed(within=left)

    async def _explain(self, name: str) -> None:
        """Write the last Kubernetes events of a pod that did not start into the task log."""
        for event in (await self._pods.events(name))[-5:]:
            self._say(f"event {event.get('reason', '')}: {event.get('message', '')}")


def _verdict(follower: Follower) -> Waiting | Running | Succeeded | Failure:
    """Judge the newest state; a pod that is gone without an end was deleted."""
    verdict = judge(follower.pod) if follower.pod else Waiting()
    if follower.gone and not isinstance(verdict, (Succeeded, Failure)):
        return deleted(follower.pod)
    return verdict


def _hasty(follower: Follower) -> bool:
    """Whether the container ended and the pod's phase does not say so yet: the reason may still be to come."""
    return not follower.gone and follower.pod is not None and attempts.unfinished(follower.pod)


def _refused(fault: KubeError, run: identity.Identity, *, what: str = "the pod") -> Failure:
    """Say why the API server did not take the pod, or what belongs to it."""
    message = f"the API server refused {what}: {fault.message or fault}"
    if identity.service_account(run.dag_id) in message and "serviceaccount" in message:
        message = f"{message}; add pipelines.{run.dag_id} to the chart's values"
    if isinstance(fault, Forbidden) and "exceeded quota" in fault.message:
        return Failure(kind=Kind.NOT_ADMITTED, message=message, then=Then.RETRY, started=False)
    if isinstance(fault, Forbidden) or fault.status in {400, 404, 422}:
        return Failure(kind=Kind.NOT_CONFIGURED, message=message, then=Then.STOP, started=False)
    return Failure(kind=Kind.PLATFORM, message=message, then=Then.RETRY, started=False)


async def _pods_of(watch: PodWatch, run: identity.Identity) -> list[Pod]:
    """Return all pods of a task instance, of whatever try, as the API server knows them now."""
    wanted: dict[str, Any] = identity.instance_labels(run)
    pods, _ = await watch.pods.select(identity.selector(wanted))
    return pods


async def stop_pods(watch: PodWatch, run: identity.Identity) -> list[str]:
    """Mark the unfinished pods of this very try for deletion, which they are told before; return their names."""
    found = [pod for pod in await _pods_of(watch, run) if attempts.unfinished(pod) and attempts.belongs(pod, run)]
    await notice.tell(watch.pods, found, why="the task was stopped in Airflow")
    for pod in found:
        await watch.pods.delete(pod["metadata"]["name"], uid=pod["metadata"]["uid"])
    return [pod["metadata"]["name"] for pod in found]
