"""What the triggerer's processes use, read inside its container.

Reads: /proc of the container, through `kubectl exec`. Writes: nothing. The shell that reads is not counted: only
processes that are there at both ends of a measurement are.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench import figures
from tests.cluster import kills
from tidegate.cli.kubectl import NAMESPACE

if TYPE_CHECKING:
    from tidegate.cli.kubectl import Kubectl

PROCESSES = r"""
for p in /proc/[0-9]*; do
  echo "@@ ${p#/proc/}"
  printf 'command: '; cat $p/comm 2>/dev/null || echo
  printf 'stat: '; cat $p/stat 2>/dev/null
  grep -s '^VmRSS:' $p/status
  grep -s '^Pss:' $p/smaps_rollup
done
true
"""
"""For a shell: a block for each process, each line `key: value`. Without `cmdline`: this shell's own is all of that."""


@dataclass(frozen=True)
class Use:
    """Over some seconds: the share of one core, and memory in MiB in the end, in all and of the largest process."""

    seconds: float
    cpu: float
    resident: float
    proportional: float
    largest: float


def look(kubectl: Kubectl) -> dict[int, figures.Process]:
    """The processes of the first triggerer."""
    pod = kills.pods_of(kubectl, "triggerer")[0]["metadata"]["name"]
    where = ("--namespace", NAMESPACE, pod, "--container", "triggerer")
    return figures.processes(kubectl.text("exec", *where, "--", "sh", "-c", PROCESSES))


def measure(kubectl: Kubectl, *, seconds: float) -> Use:
    """Use over the next `seconds`."""
    before, start = look(kubectl), time.monotonic()
    time.sleep(seconds)
    after, took = look(kubectl), time.monotonic() - start
    stayed = [after[pid] for pid in before.keys() & after.keys()]
    return Use(
        seconds=took,
        cpu=figures.cpu_share(before, after, seconds=took),
        resident=sum(one.resident for one in stayed),
        proportional=sum(one.proportional for one in stayed),
        largest=max(one.resident for one in stayed),
    )
