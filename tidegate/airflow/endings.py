"""How a pod ended, read from the pod alone: a pure function from Kubernetes JSON to an `Ending`.

| kind           | again? | what it means                                                             |
|----------------|--------|---------------------------------------------------------------------------|
| succeeded      |        | exit 0, with a result                                                     |
| bad_input      | no     | exit 2: bad settings or input; the step says what to change               |
| bad_result     | no     | exit 0, but its last words are no result                                  |
| out_of_memory  | no     | it needed more memory than its limit                                      |
| image          | no     | there is no such image, or it may not be pulled                           |
| configuration  | no     | a Secret, key or the like that the pod names is not there                 |
| try_later      | yes    | exit 75: the world outside was not ready                                  |
| registry       | yes    | the image cannot be pulled now                                            |
| deadline       | yes    | it ran longer than it may                                                 |
| infrastructure | yes    | evicted, preempted, its node lost                                         |
| stopped        | yes    | somebody stopped or deleted it                                            |
| not_started    | yes    | no node took it, or it did not start in time                              |
| failed         | yes    | any other exit code                                                       |
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tidegate.airflow.pod import CONTAINER

if TYPE_CHECKING:
    from collections.abc import Mapping

BAD_INPUT, TRY_LATER = 2, 75
"""Exit codes of the step contract."""

SIGKILLED, SIGTERMED = 137, 143
"""Exit codes of a container that a signal ended."""

PERMANENT = frozenset({"bad_input", "bad_result", "out_of_memory", "image", "configuration"})
"""Kinds that no retry can mend."""

IMPOSSIBLE_IMAGE = frozenset({"InvalidImageName", "ErrImageNeverPull"})
NO_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff"})
BROKEN_CONFIGURATION = frozenset({"CreateContainerConfigError"})
"""Reasons of a container that waits and will not start."""

REFUSED_PULL = re.compile(
    r"not found|unknown|does not exist|denied|unauthorized|forbidden|authentication|no match for", re.I
)
"""What registries say of an image that will not be there a minute later either; a network's words are others."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a step ended."""

    kind: str
    message: str = ""
    """For people: what happened and what to do."""
    result: Mapping[str, Any] = field(default_factory=dict)
    """What the step handed back, if it succeeded."""

    @property
    def retry(self) -> bool:
        """Whether another try may end better."""
        return self.kind not in PERMANENT


def ending(step: str, pod: Mapping[str, Any] | None, *, trouble: str = "") -> Ending:
    """How `pod` ended.

    Args:
        step: The step's name, for the text.
        pod: As Kubernetes gives it, or None when it is gone.
        trouble: What the watcher of the pod had to say, if it gave up before the pod's end.
    """
    if pod is None:
        return Ending(kind="stopped", message=f"{step}: its pod was deleted before its result could be read")
    terminated = _state(pod).get("terminated")
    if terminated and terminated["exitCode"] == 0:
        return _succeeded(step, terminated.get("message", ""))
    return (
        _by_memory(step, pod)
        or _by_pod(step, pod)
        or (_by_exit_code(step, terminated) if terminated else _unfinished(step, pod, trouble))
    )


def _succeeded(step: str, message: str) -> Ending:
    try:
        result = json.loads(message) if message.strip() else {}
    except ValueError:
        result = None
    if isinstance(result, dict) and _has_outputs(result):
        return Ending(kind="succeeded", result=result)
    shown = message.strip()[:500]
    return Ending(kind="bad_result", message=f"{step} ended well, but its termination message is no result: {shown!r}")


def _has_outputs(result: Mapping[str, Any]) -> bool:
    outputs = result.get("outputs", [])
    return isinstance(outputs, list) and all(
        isinstance(output, dict) and {"name", "url"} <= output.keys() for output in outputs
    )


def _by_memory(step: str, pod: Mapping[str, Any]) -> Ending | None:
    if _state(pod).get("terminated", {}).get("reason") != "OOMKilled":
        return None
    limit = pod["spec"]["containers"][0].get("resources", {}).get("limits", {}).get("memory", "its limit")
    advice = f"raise steps.{step}.resources.limits.memory in the chart's values, or give it less to hold at once"
    return Ending(kind="out_of_memory", message=f"{step} ran out of memory: it needed more than {limit}; {advice}")


def _by_pod(step: str, pod: Mapping[str, Any]) -> Ending | None:
    """What Kubernetes says of the pod as a whole."""
    status = pod.get("status", {})
    reason, said = status.get("reason", ""), status.get("message", "")
    if reason == "DeadlineExceeded":
        seconds = pod["spec"].get("activeDeadlineSeconds")
        advice = f"raise steps.{step}.activeDeadlineSeconds in the chart's values if it may take longer"
        return Ending(kind="deadline", message=f"{step} did not end within {seconds} s; {advice}")
    disrupted = [c for c in status.get("conditions", []) if c["type"] == "DisruptionTarget" and c["status"] == "True"]
    if disrupted:
        reason, said = disrupted[0].get("reason", ""), disrupted[0].get("message", "")
    if reason and (disrupted or status.get("phase") == "Failed"):
        return Ending(kind="infrastructure", message=f"{step} was taken off its node ({reason}): {said}".rstrip(": "))
    return None


def _by_exit_code(step: str, terminated: Mapping[str, Any]) -> Ending:
    code, said = terminated["exitCode"], (terminated.get("message") or "").strip()
    if code == BAD_INPUT:
        return Ending(kind="bad_input", message=f"{step} cannot work with what it was given:\n{said}".rstrip(":\n"))
    if code == TRY_LATER:
        return Ending(kind="try_later", message=f"{step} asks to try again later:\n{said}".rstrip(":\n"))
    if code in (SIGKILLED, SIGTERMED):
        return Ending(kind="stopped", message=f"{step} was stopped from outside (exit code {code})\n{said}".rstrip())
    reason = terminated.get("reason", "Error")
    return Ending(kind="failed", message=f"{step} failed ({reason}, exit code {code}):\n{said}".rstrip(":\n"))


def _unfinished(step: str, pod: Mapping[str, Any], trouble: str) -> Ending:
    """The watcher gave up on a pod that has not ended."""
    waiting = _state(pod).get("waiting", {})
    reason, said = waiting.get("reason", ""), waiting.get("message", "")
    if reason in IMPOSSIBLE_IMAGE | NO_IMAGE:
        return _without_image(step, pod, reason, said)
    if reason in BROKEN_CONFIGURATION:
        advice = f"make it in namespace {pod['metadata']['namespace']}, or change steps.{step} in the chart's values"
        return Ending(kind="configuration", message=f"{step}: its container cannot be made ({said}); {advice}")
    if pod.get("status", {}).get("phase") == "Pending":
        why = _unschedulable(pod) or f"{reason} {said}".strip() or trouble
        return Ending(kind="not_started", message=f"{step} did not start: {why}")
    return Ending(kind="deadline", message=f"{step} did not end in time: {trouble}".rstrip(": "))


def _without_image(step: str, pod: Mapping[str, Any], reason: str, said: str) -> Ending:
    image = pod["spec"]["containers"][0]["image"]
    advice = f"check steps.{step}.image and imagePullSecrets in the chart's values"
    permanent = reason in IMPOSSIBLE_IMAGE or REFUSED_PULL.search(said)
    message = f"{step}: image {image} cannot be pulled ({reason}: {said}); {advice}"
    return Ending(kind="image" if permanent else "registry", message=message)


def _unschedulable(pod: Mapping[str, Any]) -> str:
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"no node takes it ({condition.get('message', '')})"
    return ""


def finished(pod: Mapping[str, Any]) -> bool:
    """Whether the step's container has ended, or never will start because the pod is over."""
    return "terminated" in _state(pod) or pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def ended_at(pod: Mapping[str, Any]) -> datetime | None:
    """When the step's container ended; None where it has not, or Kubernetes does not say."""
    at = _state(pod).get("terminated", {}).get("finishedAt")
    return datetime.fromisoformat(at) if at else None


def started(pod: Mapping[str, Any]) -> bool:
    """Whether the step's container ever ran, and so may have a log."""
    return not {"running", "terminated"}.isdisjoint(_state(pod))


def _state(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """State of the step's container: `waiting`, `running` or `terminated`; empty before it has any."""
    for container in pod.get("status", {}).get("containerStatuses") or []:
        if container["name"] == CONTAINER:
            state: Mapping[str, Any] = container.get("state") or {}
            return state
    return {}
