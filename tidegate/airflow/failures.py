"""What became of a pod, in words that name what to change.

`judge(pod)` is a pure function from a pod's JSON to a verdict: it waits, it runs, it succeeded, or it failed, and then
of which class. The class decides what happens next:

    class                 what is done about it
    image_missing         at once and for good: the image does not exist or may not be pulled
    image_waits           waits for the start budget, then an ordinary retry: registry busy or away
    secret_missing        at once and for good: a Secret, ConfigMap or key is not there
    container_refused     at once and for good: the container cannot be started as it is described
    unschedulable         waits for a budget of its own, then an ordinary retry
    not_admitted          the node or a quota refused the pod before it started: started anew, costs no retry
    in_flight             the same work was under way elsewhere for too long: an ordinary retry
    evicted               evicted, preempted, drained, node lost: anew for free if it never started, else a retry
    deleted               somebody deleted the pod: as evicted
    out_of_memory         with more memory up to the step's cap, then for good (a retry where only SIGKILL tells it)
    deadline              ran longer than allowed: an ordinary retry
    bad_input             exit 2: for good
    try_later             exit 75: an ordinary retry, later
    application           anything else: an ordinary retry
    not_started           a node took it and did not start it within the start budget: an ordinary retry
    not_configured        the chart's values or the DAG do not say how to run it: for good
    bad_result            exit 0, but what it left is no result: for good
    platform              Tidegate or Airflow itself failed: an ordinary retry
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tidegate.airflow.pod import CONTAINER

if TYPE_CHECKING:
    from tidegate.airflow.kube import Pod

EXIT_BAD_INPUT, EXIT_TRY_LATER = 2, 75
_EXIT_SIGKILL, _EXIT_SIGTERM = 137, 143


class Kind(StrEnum):
    """Class of a failure; the word is stable and is what the task log, the ledger and the UI show."""

    IMAGE_MISSING = "image_missing"
    IMAGE_WAITS = "image_waits"
    SECRET_MISSING = "secret_missing"  # noqa: S105 - a class, not a secret
    CONTAINER_REFUSED = "container_refused"
    UNSCHEDULABLE = "unschedulable"
    NOT_ADMITTED = "not_admitted"
    IN_FLIGHT = "in_flight"
    EVICTED = "evicted"
    DELETED = "deleted"
    OUT_OF_MEMORY = "out_of_memory"
    DEADLINE = "deadline"
    BAD_INPUT = "bad_input"
    TRY_LATER = "try_later"
    APPLICATION = "application"
    NOT_STARTED = "not_started"
    NOT_CONFIGURED = "not_configured"
    BAD_RESULT = "bad_result"
    PLATFORM = "platform"


class Then(StrEnum):
    """What a failure leads to."""

    STOP = "not retried"
    RETRY = "retried as the task says"
    RELAUNCH = "started anew, costs no retry"
    MORE_MEMORY = "started anew with more memory"


_STEP = "steps.<name>"
ADVICE: dict[Kind, str] = {
    Kind.IMAGE_MISSING: f"build and push the image, or correct {_STEP}.image (and image pull secrets) in the values",
    Kind.IMAGE_WAITS: "look whether the node reaches the registry; a rate limit wants a mirror or a login",
    Kind.SECRET_MISSING: f"create the Secret or add the key that {_STEP}.secret and {_STEP}.secretKeys name",
    Kind.CONTAINER_REFUSED: f"correct {_STEP} in the values (command, user, security): this cannot start as it is",
    Kind.UNSCHEDULABLE: f"add nodes, or lower {_STEP}.resources.requests, or correct its nodeSelector and tolerations",
    Kind.NOT_ADMITTED: "no node had room for it when it got there; raise the ResourceQuota or add nodes if it lasts",
    Kind.IN_FLIGHT: 'mark it failed there, run this with the conf {"force": true}, or raise queue_timeout',
    Kind.EVICTED: f"the node needed its resources or went away; raise {_STEP}.resources.requests if it comes back",
    Kind.DELETED: "somebody or something other than Airflow deleted the pod; `kubectl get events` may tell who",
    Kind.OUT_OF_MEMORY: f"raise {_STEP}.resources.limits.memory (or {_STEP}.memoryCap), or give it less data",
    Kind.DEADLINE: f"raise {_STEP}.activeDeadlineSeconds or the step's timeout, or give it less to do",
    Kind.BAD_INPUT: "correct what the message names: the same input will fail again",
    Kind.TRY_LATER: "the step asked to be tried again later; it has used up its retries if this is the last line",
    Kind.APPLICATION: "read the lines above: the step itself failed",
    Kind.NOT_STARTED: "look at `kubectl describe pod`: the node took the pod and did not start it",
    Kind.BAD_RESULT: "write one JSON object of at most 4096 bytes to $TIDEGATE_RESULT, as the last thing",
    Kind.NOT_CONFIGURED: "correct what the message names, in the DAG or in the chart's values",
    Kind.PLATFORM: "Tidegate or Airflow failed, not the step: see the traceback above and the triggerer's log",
}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a pod failed."""

    kind: Kind
    message: str
    then: Then
    started: bool = True
    """Whether the main process ran: before that, nothing can have been written."""
    last_words: str = ""
    """The end of what the container printed, or its termination message."""
    guessed: bool = False
    """Whether the class is what it looks like, where the node did not say: then nothing is given up for good."""

    def advice(self, step: str) -> str:
        """What a person can do about it."""
        return ADVICE[self.kind].replace("<name>", step)

    def text(self, *, step: str) -> str:
        """Class, reason and advice, for the task log."""
        lines = [f"FAILED {self.kind}: {self.message}", f"What to do: {self.advice(step)}"]
        words = self.last_words.strip()
        return "\n".join([*lines, f"Last words: {words}"] if words else lines)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Not running yet. `kind` is set where something stands in the way."""

    why: str = ""
    kind: Kind | None = None


@dataclass(frozen=True)
class Running:
    """The main process runs."""


@dataclass(frozen=True)
class Succeeded:
    """It ended with 0; `message` is its termination message."""

    message: str


Verdict = Waiting | Running | Succeeded | Failure


def judge(pod: Pod) -> Verdict:
    """Say what became of a pod, from its status alone."""
    status = pod.get("status", {})
    container = _container(status)
    state = container.get("state", {})
    if status.get("phase") == "Succeeded" or ("terminated" in state and state["terminated"].get("exitCode") == 0):
        return Succeeded(str(state.get("terminated", {}).get("message", "")))
    if status.get("phase") == "Failed" or "terminated" in state:
        return _failed(pod, status, state.get("terminated", {}))
    if "running" in state:
        return Running()
    return _waiting(status, state.get("waiting", {}))


def deleted(pod: Pod | None) -> Failure:
    """Say so of a pod that vanished before it ended."""
    started = pod is not None and _started(_container(pod.get("status", {})).get("state", {}))
    then = Then.RETRY if started else Then.RELAUNCH
    return Failure(kind=Kind.DELETED, message="the pod was deleted", then=then, started=started)


def _container(status: dict[str, Any]) -> dict[str, Any]:
    for container in status.get("containerStatuses") or ():
        if container.get("name") == CONTAINER:
            return dict(container)
    return {}


def _started(state: dict[str, Any]) -> bool:
    """Whether a process ran; a container that could not be started is `terminated` without a start or at the epoch."""
    if "running" in state:
        return True
    ended = state.get("terminated", {})
    start = str(ended.get("startedAt") or "")
    return bool(start) and not start.startswith(("1970-", "0001-")) and ended.get("reason") not in _NEVER_RAN


_NEVER_RAN = frozenset({"StartError", "ContainerCannotRun", "CreateContainerError"})

# ---------------------------------------------------------------- before the start

_IMAGE_FOR_GOOD = re.compile(
    r"not found|manifest unknown|no such manifest|pull access denied|unauthorized|denied|forbidden|authoriz"
    r"|repository .*does not exist|insufficient_scope|authentication required|no match for platform"
    r"|invalid reference|couldn't parse image",
    re.IGNORECASE,
)
_IMAGE_FOR_NOW = re.compile(
    r"toomanyrequests|too many requests|rate limit|timeout|timed out|connection re|no such host|server misbehaving"
    r"|tls handshake|\bEOF\b|network is unreachable|no route|temporar|deadline exceeded|status( code)?:? 5\d\d"
    r"|5\d\d (internal|bad gateway|service|gateway)|QPS exceeded|i/o",
    re.IGNORECASE,
)
_IMAGE_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError"})
_IMAGE_NEVER = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_CONFIG_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_MISSING = re.compile(r"(secret|configmap) .*not found|couldn't find key", re.IGNORECASE)


def _waiting(status: dict[str, Any], waiting: dict[str, Any]) -> Waiting:
    reason, message = str(waiting.get("reason", "")), str(waiting.get("message", ""))
    why = f"{reason}: {message}" if message else reason
    if reason in _IMAGE_NEVER:
        return Waiting(why=why, kind=Kind.IMAGE_MISSING)
    if reason in _IMAGE_REASONS:
        return Waiting(why=why, kind=_image_kind(message))
    if reason in _CONFIG_REASONS:
        return Waiting(why=why, kind=Kind.SECRET_MISSING if _MISSING.search(message) else Kind.CONTAINER_REFUSED)
    return _unscheduled(status) or Waiting(why=why)


def _image_kind(message: str) -> Kind:
    if _IMAGE_FOR_NOW.search(message) or not _IMAGE_FOR_GOOD.search(message):
        return Kind.IMAGE_WAITS
    return Kind.IMAGE_MISSING


def _unscheduled(status: dict[str, Any]) -> Waiting | None:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            why = f"{condition.get('reason', '')}: {condition.get('message', '')}"
            gated = condition.get("reason") == "SchedulingGated"
            return Waiting(why=why, kind=None if gated else Kind.UNSCHEDULABLE)
    return None


FOR_GOOD = frozenset({Kind.IMAGE_MISSING, Kind.SECRET_MISSING, Kind.CONTAINER_REFUSED})
"""What a pod that has not started will not recover from by waiting."""


def gave_up(waiting: Waiting, *, after: float) -> Failure:
    """Turn a wait that lasted too long, or that cannot end, into a failure."""
    kind = waiting.kind or Kind.NOT_STARTED
    then = Then.STOP if kind in FOR_GOOD else Then.RETRY
    return Failure(
        kind=kind, message=f"{waiting.why or 'it did not start'} (after {after:.0f} s)", then=then, started=False
    )


# ---------------------------------------------------------------- after the end

_REFUSED_BY_NODE = re.compile(r"OutOf\w+|NodeAffinity|UnexpectedAdmissionError|TopologyAffinityError|AdmissionError")
_LOST = frozenset({"Evicted", "Preempting", "Shutdown", "NodeShutdown", "Terminated", "NodeLost", "NodeNotReady"})


def _failed(pod: Pod, status: dict[str, Any], ended: dict[str, Any]) -> Failure:
    words = str(ended.get("message", ""))
    reason = str(status.get("reason", ""))
    note = str(status.get("message", "")) or reason
    started = _started({"terminated": ended} if ended else {})
    if reason == "DeadlineExceeded":
        return Failure(kind=Kind.DEADLINE, message=note, then=Then.RETRY, started=started, last_words=words)
    if _REFUSED_BY_NODE.fullmatch(reason):
        return Failure(kind=Kind.NOT_ADMITTED, message=note, then=Then.RELAUNCH, started=False)
    then = Then.RETRY if started else Then.RELAUNCH
    if lost := _disruption(status):
        return Failure(kind=Kind.EVICTED, message=lost, then=then, started=started, last_words=words)
    if pod["metadata"].get("deletionTimestamp") and ended.get("exitCode") in {_EXIT_SIGKILL, _EXIT_SIGTERM, None}:
        message = "the pod was deleted while it ran"
        return Failure(kind=Kind.DELETED, message=message, then=then, started=started, last_words=words)
    return _ended(ended, words=words, started=started)


def _disruption(status: dict[str, Any]) -> str:
    """Why the cluster ended the pod, or "". An out-of-memory kill of its own container is not the cluster's doing."""
    if (reason := str(status.get("reason", ""))) in _LOST:
        return f"{reason}: {status.get('message', '')}"
    for condition in status.get("conditions") or ():
        if (condition.get("type"), condition.get("status")) == ("DisruptionTarget", "True"):
            return f"{condition.get('reason', '')}: {condition.get('message', '')}"
    return ""


def _ended(ended: dict[str, Any], *, words: str, started: bool) -> Failure:
    reason, code = str(ended.get("reason", "")), int(ended.get("exitCode", -1))
    if reason in _NEVER_RAN:
        return Failure(kind=Kind.CONTAINER_REFUSED, message=f"{reason}: {words}", then=Then.STOP, started=False)
    # A node may report the end before it has heard of the kernel's kill: Error (containerd issues 8180 and 12260).
    if (sure := reason == "OOMKilled") or (reason == "Error" and code == _EXIT_SIGKILL):
        told = "the container used more memory than its limit" if sure else "killed, not deleted: memory as a rule"
        message, more = f"{told} (exit {code}, {reason})", Then.MORE_MEMORY
        return Failure(kind=Kind.OUT_OF_MEMORY, message=message, then=more, last_words=words, guessed=not sure)
    if reason == "ContainerStatusUnknown" or not ended:
        then = Then.RETRY if started else Then.RELAUNCH
        return Failure(kind=Kind.EVICTED, message="the node lost track of the container", then=then, started=started)
    return Failure(last_words=words, **_by_exit_code(code))


def _by_exit_code(code: int) -> dict[str, Any]:
    if code == EXIT_BAD_INPUT:
        return {"kind": Kind.BAD_INPUT, "message": "bad settings or bad input (exit 2)", "then": Then.STOP}
    if code == EXIT_TRY_LATER:
        return {"kind": Kind.TRY_LATER, "message": "not now, try again later (exit 75)", "then": Then.RETRY}
    message = f"the step failed (exit {code}{', SIGTERM' if code == _EXIT_SIGTERM else ''})"
    return {"kind": Kind.APPLICATION, "message": message, "then": Then.RETRY}
