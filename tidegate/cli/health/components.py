"""The release's pods: ready or not, restarts, age, and what to do about one that is not up, or not there. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tidegate.cli import pods
from tidegate.cli.health.finding import Finding, Verdict
from tidegate.cli.health.words import ago, first_line
from tidegate.cli.kubectl import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

LATELY: Final = timedelta(hours=1)
OUT_OF_MEMORY: Final = "OOMKilled"
ADVICE: Final = (
    (
        "ImagePull",
        "the node cannot have its image: `.venv/bin/tidegate images list` names all; mirror them, or load them",
    ),
    (
        "ErrImage",
        "the node cannot have its image: `.venv/bin/tidegate images list` names all; mirror them, or load them",
    ),
    ("Insufficient", "the nodes are full: a larger one, or lower `resources` of the values"),
    ("unbound", "its volume is not there: `storage.className` of the values names one that your cluster has"),
    ("CreateContainerConfigError", "a Secret or ConfigMap that it reads is missing; the end of {describe} names it"),
    ("CrashLoopBackOff", "{logs} --previous"),
    ("ended with code", "{logs} --previous"),
)
"""What its state says -> what to do."""

Pod = dict[str, Any]


def components(found: list[Pod], *, context: str, now: datetime) -> Iterator[Finding]:
    """One finding a pod; those of Jobs only where something is the matter."""
    held = pods.unready(found)
    if not found:
        do = "make up installs it; --context names another cluster"
        yield Finding(what="pods", verdict=Verdict.BAD, seen=f"none in namespace {NAMESPACE}", do=do)
    for pod in sorted(found, key=lambda pod: str(pod["metadata"]["name"])):
        name = str(pod["metadata"]["name"])
        if name in held and pods.of_a_job(pod):
            yield Finding(what=name, verdict=Verdict.NOTE, seen=held[name], do=_do(held[name], name, context))
        elif name in held:
            seen = f"{held[name]}; {_counts(pod, now)}"
            yield Finding(what=name, verdict=Verdict.BAD, seen=seen, do=_do(held[name], name, context))
        elif not pods.of_a_job(pod) and not pods.leaves(pod):
            yield _up(pod, name, context=context, now=now)


def without_pods(workloads: list[Pod], *, context: str) -> Iterator[Finding]:
    """One finding for each Deployment and StatefulSet that has no pod: something refuses them, or none is wanted."""
    for one in sorted(workloads, key=lambda one: str(one["metadata"]["name"])):
        if one["status"].get("replicas", 0):
            continue
        name, kind, wanted = one["metadata"]["name"], one["kind"].lower(), one["spec"].get("replicas", 1)
        if not wanted:
            yield Finding(what=name, verdict=Verdict.NOTE, seen=f"switched off: its {kind} wants no pods")
            continue
        failures = [cause["message"] for cause in one["status"].get("conditions", []) if _refused(cause)]
        seen = f"none of {wanted} pods: {first_line(next(iter(failures), 'none was made'))}"
        do = f"{_kubectl(context)} describe {kind} {name}: its last lines say what refuses them, such as a quota"
        yield Finding(what=name, verdict=Verdict.BAD, seen=seen, do=do)


def _refused(condition: dict[str, str]) -> bool:
    return condition["type"] == "ReplicaFailure" and condition["status"] == "True"


def _up(pod: Pod, name: str, *, context: str, now: datetime) -> Finding:
    ended = [state for one in _statuses(pod) if (state := one.get("lastState", {}).get("terminated"))]
    late = [one for one in ended if now - datetime.fromisoformat(one["finishedAt"]) < LATELY]
    if not late:
        return Finding(what=name, seen=_counts(pod, now))
    why = late[-1].get("reason") or f"code {late[-1].get('exitCode')}"
    seen = f"{_counts(pod, now)}; restarted {ago(late[-1]['finishedAt'], now)} ago ({why})"
    do = f"{_kubectl(context)} logs {name} --all-containers --previous"
    if why == OUT_OF_MEMORY:
        do = "raise its `resources.limits.memory` in the values"
    return Finding(what=name, verdict=Verdict.NOTE, seen=seen, do=do)


def _statuses(pod: Pod) -> list[Pod]:
    found: list[Pod] = pod["status"].get("containerStatuses", [])
    return found


def _counts(pod: Pod, now: datetime) -> str:
    statuses = _statuses(pod)
    ready, restarts = sum(bool(one.get("ready")) for one in statuses), sum(one["restartCount"] for one in statuses)
    created = pod["metadata"].get("creationTimestamp")
    age = f", up {ago(created, now)}" if created else ""
    return f"{ready}/{len(statuses)} ready, {restarts} restarts{age}"


def _do(reason: str, name: str, context: str) -> str:
    describe = f"{_kubectl(context)} describe pod {name}"
    logs = f"{_kubectl(context)} logs {name} --all-containers"
    advice = next((do for word, do in ADVICE if word in reason), "{describe}")
    return advice.format(describe=describe, logs=logs)


def _kubectl(context: str) -> str:
    return f"kubectl --context {context} --namespace {NAMESPACE}"
