"""Killing a part of the platform where it runs: the process itself gets the signal, as from the kernel or a node.

Reads: pods, the node's containers. Writes: a signal to one process in the node of our kind cluster; nothing else can be
reached that way, so a cluster of another kind is refused. Again: each call kills what runs then.

A process is found first (`aim`) and killed later (`fire`), so that the moment is not missed while it is looked for.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegate.cli import runs
from tidegate.cli.state import KIND_CONTEXT
from tidegate.cluster import commands, engine, kind
from tidegate.cluster.errors import ClusterError, CommandFailed

if TYPE_CHECKING:
    from tidegate.cli.kubectl import Kubectl

BACK_SECONDS = 400
"""For a container that is killed the third time within ten minutes: the kubelet then waits, up to 5 minutes."""
AIM_SECONDS = 90
"""For the kubelet to tell again what runs."""
SHOTS = 3
KUBELET = "kubelet"
DATABASE = "database"
AIRFLOW = ("scheduler", "triggerer", "api-server", "dag-processor")
COMPONENTS = (*AIRFLOW, DATABASE, KUBELET)


@dataclass(frozen=True)
class Aim:
    """One process in the node."""

    component: str
    pid: int
    pod: str = ""
    """Empty for the kubelet, which runs in none."""

    def fire(self, *, signal: str = "KILL") -> None:
        """Send the signal; raises `EndedError` where the process has ended by itself since it was found."""
        try:
            in_node("sh", "-c", f"kill -{signal} {self.pid}")
        except CommandFailed as fault:
            if "No such process" in str(fault):
                raise EndedError(f"{self.component} ended before it was killed") from fault
            raise


class EndedError(ClusterError):
    """There is no such process any more: with a database away, some parts end by themselves."""


def in_node(*words: str, timeout: float = 60) -> str:
    """What a command prints inside the node of our kind cluster."""
    return commands.output([engine.docker(), "exec", kind.Cluster(kind.NAME, "stock").node, *words], timeout=timeout)


def reachable(kubectl: Kubectl) -> bool:
    """Whether the cluster's node is a container of ours."""
    if kubectl.context != KIND_CONTEXT:
        return False
    try:
        in_node("true")
    except ClusterError:
        return False
    return True


def aim(kubectl: Kubectl, component: str, *, pod: str = "") -> Aim:
    """The main process of a component; of a given pod where several have it.

    While the kubelet restarts, pods are told of with containers that are gone: it is looked for until both agree.
    """
    if component == KUBELET:
        return Aim(component, int(in_node("systemctl", "show", KUBELET, "--property=MainPID", "--value")))
    found: list[Aim] = []

    def seen() -> bool:
        found[:] = _aims(kubectl, component, pod)
        return bool(found)

    state = lambda: str([container(one, component) for one in pods_of(kubectl, component)])  # noqa: E731 - only when late
    runs.until(seen, seconds=AIM_SECONDS, what=f"a process of {component}", state=state, every=0.5)
    return found[0]


def shoot(kubectl: Kubectl, component: str) -> Aim:
    """Kill the main process of a component; where it had ended by itself, the one that came after it."""
    for _ in range(SHOTS):
        shot = aim(kubectl, component)
        with suppress(EndedError):
            shot.fire()
            return shot
    raise EndedError(f"{component} ended by itself {SHOTS} times before it was killed")


def _aims(kubectl: Kubectl, component: str, pod: str) -> list[Aim]:
    """Those of the component's pods whose container runs, as node and API server both say."""
    known = pids(in_node("ctr", "--namespace=k8s.io", "tasks", "ls"))
    names = {
        container(one, component).get("containerID", "").rpartition("/")[2]: one["metadata"]["name"]
        for one in pods_of(kubectl, component)
        if pod in ("", one["metadata"]["name"])
    }
    return [Aim(component, known[identity], name) for identity, name in names.items() if identity in known]


def pids(listing: str) -> dict[str, int]:
    """Container id -> process, from what `ctr tasks ls` prints: TASK, PID, STATUS."""
    lines = [line.split() for line in listing.splitlines()[1:]]
    return {words[0]: int(words[1]) for words in lines if len(words) >= 3 and words[2] == "RUNNING"}


def pods_of(kubectl: Kubectl, component: str) -> list[dict[str, Any]]:
    """The pods that a component of Airflow, or the database, runs in."""
    if component == DATABASE:
        return [kubectl.read("pod", "postgresql-0")]
    found = kubectl.items("pods", "--selector", f"component in ({component}, standalone)")
    return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]


def container(pod: dict[str, Any], component: str) -> dict[str, Any]:
    """The status of the container that a component is."""
    name = {DATABASE: "postgresql"}.get(component, component)
    found: dict[str, Any] = next(one for one in pod["status"]["containerStatuses"] if one["name"] == name)
    return found


def wait_back(kubectl: Kubectl, shot: Aim) -> None:
    """Return once what was killed runs again, as another process, and is ready."""

    def back() -> bool:
        try:
            return aim(kubectl, shot.component, pod=shot.pod).pid != shot.pid and _ready(kubectl, shot)
        except (ClusterError, LookupError, ValueError, StopIteration):  # not there yet
            return False

    runs.until(back, seconds=BACK_SECONDS, what=f"{shot.component} to be back", state=lambda: _state(kubectl, shot))


def _ready(kubectl: Kubectl, shot: Aim) -> bool:
    if not shot.pod:
        return in_node("systemctl", "is-active", KUBELET).strip() == "active"
    return bool(container(kubectl.read("pod", shot.pod), shot.component)["ready"])


def _state(kubectl: Kubectl, shot: Aim) -> str:
    if not shot.pod:
        return in_node("systemctl", "show", KUBELET, "--property=ActiveState,SubState")
    return str(container(kubectl.read("pod", shot.pod), shot.component))
