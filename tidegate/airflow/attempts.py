"""Several pods for one try: names, labels and memory of a pod that is started anew.

A try has attempt 0, and a next attempt each time a pod was lost before it started or ran out of memory. The number is
a fence: its pod's name follows from the try and the number, so whoever comes second finds the pod instead of making
another. Under the ledger it follows from the key of the work and the fencing number that came with the lease.
"""

from __future__ import annotations

import copy
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegate.airflow import credentials, identity, notice
from tidegate.airflow.pod import build_pod

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegate.airflow.credentials import Credentials
    from tidegate.airflow.identity import Identity
    from tidegate.airflow.kube import Pod
    from tidegate.airflow.spec import StepSpec
    from tidegate.airflow.watch import PodWatch

ATTEMPT = f"{identity.PREFIX}attempt"
MEMORY = f"{identity.PREFIX}memory"
TI_ID = f"{identity.PREFIX}ti-id"
TRY = f"{identity.PREFIX}try"

KEY, FENCE = f"{identity.PREFIX}key", f"{identity.PREFIX}fence"
"""Labels of a pod that runs under the ledger: the work it does, and the fencing number it does it by."""

MEMORY_FACTOR = 2
"""How much more memory a pod gets after one that ran out of it."""

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to run: everything a pod is made of."""

    spec: StepSpec
    run: Identity
    namespace: str
    params: Mapping[str, Any]
    inputs: Mapping[str, str]
    output: str
    fence: int = 0
    """The ledger's fencing number; 0 where no ledger was asked."""
    credentials: Credentials | None = None
    """What its pod is given of an Airflow connection."""
    barred: frozenset[int] = frozenset()
    """Fencing numbers of attempts that were replaced: their pods' results are nobody's."""

    def pod(self, attempt: int, *, memory: str = "") -> Pod:
        """Return the pod of this attempt; `memory` replaces the limit that the step's settings name."""
        made = copy.deepcopy(
            build_pod(
                self.spec,
                self.run,
                namespace=self.namespace,
                params=self.params,
                inputs=self.inputs,
                output=self.output,
            )
        )
        made["metadata"]["name"] = attempt_name(self.spec.name, self.run, attempt, fence=self.fence)
        made["metadata"]["labels"][ATTEMPT] = str(attempt)
        if self.fence:
            made["metadata"]["labels"] |= {KEY: key_label(self.run.ledger_key), FENCE: str(self.fence)}
        made["metadata"]["annotations"][MEMORY] = memory or self.spec.memory_limit
        if self.spec.cancel_notice:
            notice.dress(made)
        if self.credentials:
            credentials.dress(made, self.credentials)
        if memory:
            _set_memory(made["spec"]["containers"][0]["resources"], memory)
        return made


def attempt_name(step: str, run: Identity, attempt: int, *, fence: int = 0) -> str:
    """Return the pod's name: attempt 0 has the try's own, or that of its key and fence; later ones another."""
    first = identity.pod_name(step, run)
    if fence:
        first = f"{first[:-16]}{hashlib.sha256(f'{run.ledger_key}/{fence}'.encode()).hexdigest()[:16]}"
    if not attempt:
        return first
    digest = hashlib.sha256(f"{first}/{attempt}".encode()).hexdigest()[:16]
    return f"{first[:-16]}{digest}"


def key_label(digest: str) -> str:
    """Return as much of a key as a label holds."""
    return digest[:40]


def fence_of(pod: Pod) -> int:
    """Return the fencing number of a pod, 0 where it has none."""
    return int(pod["metadata"].get("labels", {}).get(FENCE, 0))


async def remove(watch: PodWatch, pod: Pod) -> None:
    """Delete a pod, and wait until it is gone."""
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    async with watch.follow(pod) as follower:
        await watch.pods.delete(name, uid=uid)
        while not follower.gone:
            if not await follower.changed(within=5.0):
                now = await watch.pods.get(name)
                follower.gone = now is None or now["metadata"]["uid"] != uid


def number(pod: Pod) -> int:
    """Return which attempt a pod is."""
    return int(pod["metadata"].get("labels", {}).get(ATTEMPT, 0))


def memory_of(pod: Pod) -> str:
    """Return the memory limit a pod was made with."""
    return str(pod["metadata"].get("annotations", {}).get(MEMORY, ""))


def belongs(pod: Pod, run: Identity) -> bool:
    """Whether a pod was made for this task instance, not for a try before it or a run that was deleted."""
    return str(pod["metadata"].get("annotations", {}).get(TI_ID, "")) == run.ti_id


def of_try(pod: Pod, run: Identity) -> bool:
    """Whether a pod was made for this very try under its present number; see `launch` for how a number may change."""
    return belongs(pod, run) and pod["metadata"].get("labels", {}).get(TRY) == str(run.try_number)


def age(pod: Pod) -> tuple[str, int]:
    """Order pods from the oldest to the newest; of two in one second the later attempt is the newer."""
    return str(pod["metadata"].get("creationTimestamp", "")), number(pod)


def does_the_same(pod: Pod, wanted: Pod) -> bool:
    """Whether the result of a pod is, or will be, good for `wanted`."""
    metadata, status = pod["metadata"], pod.get("status", {})
    over = status.get("phase") == "Failed" or metadata.get("deletionTimestamp")
    digests = {one["metadata"].get("annotations", {}).get(identity.WORK) for one in (pod, wanted)}
    return not over and len(digests) == 1


def unfinished(pod: Pod) -> bool:
    """Whether a pod may still do something: its phase tells the end up to seconds after its container has ended."""
    status = pod.get("status", {})
    states = [container.get("state", {}) for container in status.get("containerStatuses") or ()]
    ended = bool(states) and all("terminated" in state for state in states)
    return not ended and status.get("phase") not in {"Succeeded", "Failed"}


def more_memory(now: str, *, cap: str) -> str:
    """Return the next memory limit, or "" where `now` has reached the cap or there is none."""
    if not cap or amount(now) >= amount(cap):
        return ""
    wanted = amount(now) * MEMORY_FACTOR
    return cap if wanted >= amount(cap) else f"{wanted // 2**20}Mi"


def amount(text: str) -> int:
    """Return a Kubernetes quantity of memory in bytes, such as `512Mi`.

    Raises:
        ValueError: It is none.
    """
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", text.strip())
    if not match or match[2] not in _UNITS:
        raise ValueError(f"{text!r} is no amount of memory; want such as 512Mi or 2Gi")
    return int(float(match[1]) * _UNITS[match[2]])


def _set_memory(resources: dict[str, Any], memory: str) -> None:
    resources.setdefault("limits", {})["memory"] = memory
    if "memory" in resources.get("requests", {}):
        resources["requests"]["memory"] = memory
