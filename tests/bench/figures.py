"""Numbers out of samples and out of the API server's metrics: pure functions."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

SAMPLE = re.compile(r"^(?P<name>\w+)\{(?P<labels>[^}]*)\} (?P<value>\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
TICKS_PER_SECOND = 100
"""Unit of the CPU times in /proc/<pid>/stat: USER_HZ, which is 100 on every platform that Kubernetes runs on."""


@dataclass(frozen=True)
class Spread:
    """Minimum, median and maximum of some samples, and how many there were."""

    low: float
    middle: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.low:.1f} / {self.middle:.1f} / {self.high:.1f}"


def spread(samples: Sequence[float]) -> Spread:
    """Of at least one sample."""
    return Spread(min(samples), statistics.median(samples), max(samples), len(samples))


def over(samples: Mapping[str, Sequence[float]], *, floor: str) -> dict[str, list[float]]:
    """What each way cost more than `floor`, round by round; the samples of a round stand at the same place."""
    return {
        way: [cost - least for cost, least in zip(costs, samples[floor], strict=True)]
        for way, costs in samples.items()
        if way != floor
    }


def hops(marks: Sequence[Mapping[str, datetime | None]], order: Sequence[str]) -> list[tuple[str, float, float, int]]:
    """Name, median seconds since the first mark, median seconds since the one before, and how many rounds had it.

    A round that lacks a mark is left out for that mark and the step to the next; a mark that no round has is left out.
    """
    lines = []
    known = [name for name in order if any(one.get(name) for one in marks)]
    for before, name in zip([known[0], *known], known, strict=False):
        since = [_between(one, order[0], name) for one in marks]
        step = [_between(one, before, name) for one in marks]
        took, total = [x for x in step if x is not None], [x for x in since if x is not None]
        if took and total:
            lines.append((name, statistics.median(total), statistics.median(took), len(total)))
    return lines


def _between(marks: Mapping[str, datetime | None], first: str, last: str) -> float | None:
    begin, end = marks.get(first), marks.get(last)
    return (end - begin).total_seconds() if begin and end else None


def requests(metrics: str) -> Counter[str]:
    """Requests about pods that an API server has answered, such as `{"LIST pods": 12, "GET pods/log": 3}`."""
    return _pods(metrics, "apiserver_request_total")


def open_watches(metrics: str) -> int:
    """Watches on pods that are open now."""
    return _pods(metrics, "apiserver_longrunning_requests")["WATCH pods"]


def _pods(metrics: str, name: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for sample in SAMPLE.finditer(metrics):
        labels = dict(LABEL.findall(sample["labels"]))
        if sample["name"] == name and labels.get("resource") == "pods" and not labels.get("group"):
            below = labels.get("subresource")
            found[f"{labels['verb']} pods{'/' + below if below else ''}"] += int(float(sample["value"]))
    return found


@dataclass(frozen=True)
class Process:
    """One process in a container: CPU seconds that it has used, its memory in MiB, and its command."""

    pid: int
    seconds: float
    resident: float
    """Includes pages that it shares with others."""
    proportional: float
    """Shared pages divided by those who share them; 0 where the kernel does not tell."""
    command: str


def processes(listing: str) -> dict[int, Process]:
    """Out of what `PROCESSES` of `tests.bench.triggerer` prints: a block for each process, keys as in /proc."""
    found = {}
    for block in listing.split("@@ ")[1:]:
        pid, _, rest = block.partition("\n")
        keys = dict(re.findall(r"^(\w+):[ \t]*(.*)$", rest, re.MULTILINE))
        if "stat" not in keys or not keys.get("VmRSS"):
            continue  # ended while it was looked at, or a thread of the kernel
        after = keys["stat"].rpartition(")")[2].split()
        ticks = int(after[11]) + int(after[12])
        resident, proportional = (int(keys.get(key, "0").split()[0]) / 1024 for key in ("VmRSS", "Pss"))
        command = keys.get("command", "").strip()
        found[int(pid)] = Process(int(pid), ticks / TICKS_PER_SECOND, resident, proportional, command)
    return found


def cpu_share(before: Mapping[int, Process], after: Mapping[int, Process], *, seconds: float) -> float:
    """Of one core, by the processes that were there both times."""
    used = sum(after[pid].seconds - before[pid].seconds for pid in before.keys() & after.keys())
    return used / seconds


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; bars within a cell are escaped."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
