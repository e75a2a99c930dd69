"""Jobs: one for each run, whatever happens to the pod that submits it and waits.

`submit` looks before it submits. A job of this run that goes on is waited for, one that completed is the result, and
one that ended badly is followed by the next attempt. The end is what the job's own state says, never its log stream.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azure.ai.ml import load_job
from azure.core.exceptions import AzureError, ResourceExistsError

from jobs.azure_ml.artifacts import keep
from jobs.azure_ml.endings import judge, outcome
from jobs.azure_ml.faults import told, translated
from jobs.azure_ml.logs import Tail
from jobs.azure_ml.names import DEFINITION_TAG, RUN_TAG, job_name, mark
from jobs.azure_ml.notices import stopped, tell
from jobs.azure_ml.states import ACTIVE, COMPLETED, QUEUED, word
from jobs.azure_ml.waiting import Watch, bounded
from tidegate.step import BadInput, NotFound, StepError, Stopped, TryAgain

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.ai.ml.entities import Job

    from jobs.azure_ml.connection import Workspace
    from jobs.azure_ml.spec import Spec
    from jobs.azure_ml.step import Settings

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 100
"""Jobs of one run at most: each Airflow try makes one at most."""

SUBMISSIONS = 3
"""How often a submission is made again that met another one of the same files."""

LAST_SECONDS = 12.0
"""Seconds for cancelling after SIGTERM."""

LOOKS = 6
"""How often a job is looked for that may have been made."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A job of this run, and whether this execution made it."""

    job: Job
    attempt: int
    submitted: bool


def submit(space: Workspace, settings: Settings, spec: Spec) -> dict[str, Any]:
    """Submit the job of this run, or find it, and wait for it if asked."""
    entity, digest = spec.load(load_job), spec.digest()
    tags = {RUN_TAG: mark(settings.run, again=settings.again), DEFINITION_TAG: digest}

    def make(name: str) -> None:
        entity.name, entity.tags = name, {**(entity.tags or {}), **tags}
        _create(space, settings, entity)

    return carried_out(space, settings, make, digest=digest)


def carried_out(space: Workspace, settings: Settings, make: Callable[[str], None], *, digest: str) -> dict[str, Any]:
    """The job of this run, waited for if asked; cancelled where a person stops the task meanwhile."""
    try:
        found = once(space, settings, make, digest=digest)
        url = page(found.job)
        tell({"job_id": str(found.job.name), "job_end_point": url, "studio_url": url})
        return ended(space, settings, found) if settings.waiting else outcome(space, found)
    except Stopped:
        end_if_stopped(space, settings)
        raise


def once(space: Workspace, settings: Settings, make: Callable[[str], None], *, digest: str) -> Found:
    """The job of this run: found, or made by `make(name)`, at most once.

    Raises:
        TryAgain: A job of this run goes on that was made from another definition, or it cannot be known whether one
            was made.
    """
    for attempt in range(1, MOST_ATTEMPTS + 1):
        name = job_name(settings.run, attempt=attempt, again=settings.again)
        job = look(space, name)
        if job is None:
            return _made(space, settings, make, name, attempt)
        state, other = word(job.status), (job.tags or {}).get(DEFINITION_TAG, digest) != digest
        if state in ACTIVE and other:
            raise TryAgain(f"job {name} is {state}, made from another definition: cancel it, or wait for its end")
        if state in ACTIVE or (state == COMPLETED and not other):
            log.info("azure_ml: job %s is there, %s; nothing is submitted", name, state)
            return Found(job=job, attempt=attempt, submitted=False)
        log.info("azure_ml: job %s of an earlier try is %s; the next one follows", name, state)
    raise BadInput(f"this run has had {MOST_ATTEMPTS} jobs; start another run")


def look(space: Workspace, name: str) -> Job | None:
    """The job of that name, None where there is none."""
    try:
        with told(f"job {name}"):
            found: Job = space.client.jobs.get(name)
            return found
    except NotFound:
        return None


def _made(space: Workspace, settings: Settings, make: Callable[[str], None], name: str, attempt: int) -> Found:
    """Make it; where that fails it is looked up, since Azure may have accepted it all the same."""
    watch = Watch(f"job {name}", settings.poll, settings.patience)
    try:
        make(name)
    except StepError as fault:
        log.info("azure_ml: %s; is job %s there all the same?", str(fault).partition("\n")[0], name)
        job = _appeared(space, watch, name, looks=LOOKS if isinstance(fault, TryAgain) else 1)
        if job is None:
            raise
    else:
        job = watch.look(lambda: space.client.jobs.get(name))
    found = Found(job=job, attempt=attempt, submitted=True)
    log.info("azure_ml: job %s is submitted, %s %s", name, word(job.status), page(job))
    return found


def _appeared(space: Workspace, watch: Watch, name: str, *, looks: int) -> Job | None:
    """The job, if Azure made it after all; None also where that cannot be known."""
    for number in range(1, looks + 1):
        try:
            if job := look(space, name):
                return job
        except StepError as fault:
            log.info("azure_ml: looking for it: %s", str(fault).partition("\n")[0])
        if number < looks:
            watch.pause()
    return None


def _create(space: Workspace, settings: Settings, entity: Any) -> None:  # noqa: ANN401 - any kind of job
    """Submit; uploads of the same files by two executions at once may collide (azure-sdk-for-python#30155)."""
    doing = f"submitting job {entity.name}"
    for number in range(1, SUBMISSIONS + 1):
        try:
            bounded(lambda: space.client.jobs.create_or_update(entity), seconds=settings.submit, doing=doing)
        except AzureError as error:
            if number == SUBMISSIONS or not isinstance(error, ResourceExistsError) or look(space, entity.name):
                raise translated(error, doing) from error
            log.info("azure_ml: another execution uploads the same files; submitting again")
        else:
            return


def page(job: Job) -> str:
    """The job's page in the studio."""
    return str(job.studio_url or "")


def end_if_stopped(space: Workspace, settings: Settings) -> None:
    """Cancel this run's job where a person stopped the task; after an eviction it goes on for the next try.

    A submission that is under way may still be accepted, so it is looked for a while: SIGTERM leaves 20 s.
    """
    why = stopped()
    if not why:
        log.info("azure_ml: the job goes on; the next try finds it")
        return
    log.info("azure_ml: the task was stopped (%s)", why)
    until = time.monotonic() + LAST_SECONDS
    while time.monotonic() < until:
        try:
            found = _own(space, settings)
            for one in found:
                if word(one.job.status) in ACTIVE:
                    stop(space, settings, str(one.job.name), wait_for_it=False)
        except StepError as fault:
            log.info("azure_ml: cancelling again: %s", str(fault).partition("\n")[0])
        else:
            if found:
                return
        time.sleep(1)


def wait(space: Workspace, settings: Settings) -> dict[str, Any]:
    """Wait for a named job, or for the latest of this run."""
    attempts = _own(space, settings) if not settings.name else []
    name = settings.name or (attempts[-1].job.name if attempts else job_name(settings.run))
    with told(f"job {name}"):
        job: Job = space.client.jobs.get(name)
    found = Found(job=job, attempt=len(attempts) or 1, submitted=False)
    tell({"job_id": str(name), "job_end_point": page(job), "studio_url": page(job)})
    return ended(space, settings, found)


def cancel(space: Workspace, settings: Settings) -> dict[str, Any]:
    """Cancel a named job, or those of this run that go on; nothing to cancel is fine."""
    found = [one.job for one in _own(space, settings)]
    if settings.name:
        found = [job for job in [look(space, settings.name)] if job]
    going = [job for job in found if word(job.status) in ACTIVE]
    for job in going:
        stop(space, settings, str(job.name), wait_for_it=settings.waiting)
    if not found:
        return {"name": "", "status": "", "cancelled": False, "studio_url": ""}
    latest = (going or found)[-1]
    name = str(latest.name)
    state = word((look(space, name) or latest).status)
    return {"name": name, "status": state, "cancelled": bool(going), "studio_url": page(latest)}


def stop(space: Workspace, settings: Settings, name: str, *, wait_for_it: bool) -> None:
    """Ask for the end of a job; one that ends by itself meanwhile is fine."""
    log.info("azure_ml: cancelling job %s", name)
    watch = Watch(f"job {name}", settings.poll, settings.patience)
    try:
        with told(f"cancelling job {name}"):
            space.client.jobs.begin_cancel(name)
    except (NotFound, BadInput):
        if (job := look(space, name)) and word(job.status) in ACTIVE:
            raise
    while wait_for_it and (job := watch.look(lambda: look(space, name))) and word(job.status) in ACTIVE:
        watch.note(word(job.status))
        watch.pause()


def _own(space: Workspace, settings: Settings) -> list[Found]:
    """All jobs of this run, in order."""
    found: list[Found] = []
    for attempt in range(1, MOST_ATTEMPTS + 1):
        job = look(space, job_name(settings.run, attempt=attempt, again=settings.again))
        if job is None:
            break
        found.append(Found(job=job, attempt=attempt, submitted=False))
    return found


def ended(space: Workspace, settings: Settings, found: Found) -> dict[str, Any]:
    """Wait for its end.

    Raises:
        BadInput: It was cancelled.
        StepError: It failed, or did not run or end in time; then it is cancelled.
    """
    name = str(found.job.name)
    watch = Watch(f"job {name}", settings.poll, settings.patience)
    tail = Tail(space.client, name)
    if settings.show_logs and word(found.job.status) in ACTIVE:
        tail.start()
    job, ran = found.job, 0.0
    while word(job.status) in ACTIVE:
        watch.note(word(job.status), page(job))
        ran = 0.0 if word(job.status) in QUEUED else ran or watch.since
        _refuse_late(space, settings, watch, name, ran=ran)
        watch.pause()
        job = watch.look(lambda: space.client.jobs.get(name))
    watch.note(word(job.status))
    if tail.began:
        tail.end()
    if settings.download:
        _keep(space, settings, job)
    judge(space, job)
    return outcome(space, Found(job=job, attempt=found.attempt, submitted=found.submitted))


def _keep(space: Workspace, settings: Settings, job: Job) -> None:
    """Keep what it left; where it failed, its own end is what counts."""
    try:
        space.kept.append(keep(space, settings, str(job.name)))
    except StepError as fault:
        if word(job.status) == COMPLETED:
            raise
        log.info("azure_ml: what the job left is not kept: %s", fault)


def _refuse_late(space: Workspace, settings: Settings, watch: Watch, name: str, *, ran: float) -> None:
    """Cancel the job and fail where it has waited or run for too long; `ran` is when it began to run, or 0."""
    now = time.monotonic()
    late = ""
    if settings.queue_timeout and not ran and now - watch.began > settings.queue_timeout:
        late = f"did not run within {settings.queue_timeout:g} s (queue_timeout)"
    if settings.run_timeout and ran and now - ran > settings.run_timeout:
        late = f"did not end within {settings.run_timeout:g} s of running (run_timeout)"
    if late:
        stop(space, settings, name, wait_for_it=False)
        raise StepError(f"job {name} {late}; it is cancelled")
