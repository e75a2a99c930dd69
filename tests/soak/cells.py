"""The kill matrix: what is killed, how, and when; and the report of how each kill went.

Reads, writes: `build/soak.json`: the last outcome of every cell. Writes: `tests/soak/report.md`. Again: an outcome
replaces the older one of its cell, so that a cell can be run alone; each says of when it is.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tests.bench.figures import table
from tidegate.cluster import cache
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

CREATING, RUNNING, FINISHING = "creating", "running", "finishing"
MOMENTS = (CREATING, RUNNING, FINISHING)
"""When the first step's pod has just been made, while its container runs, and when that has just ended."""
POD = "step's pod"
TAKES_MORE = (POD, "kubelet")
"""With these a step may run a second time: without its kubelet a node's pods, such as the store's, are not ready."""
KEPT = ROOT / "build" / "soak.json"
REPORT = ROOT / "tests" / "soak" / "report.md"


@dataclass(frozen=True)
class Victim:
    """What gets which signal; a step's pod is deleted instead."""

    title: str
    component: str
    signal: str = "KILL"
    triggerers: int = 1
    """How many there are when it is killed."""


VICTIMS = (
    Victim("scheduler", "scheduler"),
    Victim("triggerer, SIGTERM", "triggerer", "TERM"),
    Victim("triggerer, SIGKILL", "triggerer"),
    Victim("api-server", "api-server"),
    Victim("dag-processor", "dag-processor"),
    Victim(POD, POD),
    Victim("kubelet", "kubelet"),
    Victim("metadata database", "database"),
    Victim("one of two triggerers, SIGTERM", "triggerer", "TERM", 2),
    Victim("one of two triggerers, SIGKILL", "triggerer", "KILL", 2),
)


@dataclass(frozen=True)
class Cell:
    """One kill."""

    victim: Victim
    moment: str

    def __str__(self) -> str:
        return f"{self.victim.title} at {self.moment}"


CELLS = tuple(
    Cell(victim, moment)
    for alone in (True, False)
    for moment in MOMENTS
    for victim in VICTIMS
    if (victim.triggerers == 1) is alone
)
"""By moment, so that a component is killed again only after the others: the kubelet lets what ends often wait."""


@dataclass(frozen=True)
class Outcome:
    """How one kill went."""

    cell: str
    when: str
    """Time and commit."""
    result: str
    """`ok`, or the first line of what was not as it must be."""
    seconds: float
    """From the request for the run to its end."""
    pods: str
    """Pods made for the first and the second step."""
    tries: str
    """The last try of each."""


def keep(outcome: Outcome) -> None:
    """Note an outcome, and write the report anew."""
    known = kept() | {outcome.cell: outcome}
    cache.write(KEPT, json.dumps([asdict(one) for one in known.values()], indent=2) + "\n")
    cache.write(REPORT, text(list(known.values())))


def kept() -> dict[str, Outcome]:
    """Cell -> its last outcome."""
    found = json.loads(KEPT.read_text()) if KEPT.exists() else []
    return {one["cell"]: Outcome(**one) for one in found}


def text(outcomes: Sequence[Outcome]) -> str:
    """The report: a line for every cell of the matrix, those that did not run too."""
    known = {one.cell: one for one in outcomes}
    rows = [_row(str(cell), known.get(str(cell))) for cell in CELLS]
    good = sum(one.result == "ok" for one in known.values())
    headings = ["killed", "result", "run, s", "pods", "tries", "when"]
    return "\n".join(
        [
            "# Kills",
            "",
            "Written by `make soak`. A run of two steps is started, something is killed when the first step's pod has "
            "been made (creating), while it runs, or when it has just ended (finishing). `ok` is: the run succeeds, "
            "each step has published one version of its object, every line it printed is in the task's log, a minute "
            "after the end no pod of the run lives, no two pods of a step ran at once, and each step had one pod and "
            "one try, unless the pod itself was killed or the kubelet, with which the store is not ready for a while.",
            "",
            f"{good} of {len(CELLS)} ok, {len(CELLS) - len(known)} not run.",
            "",
            table(headings, rows),
            "",
        ]
    )


def _row(cell: str, outcome: Outcome | None) -> list[str]:
    if outcome is None:
        return [cell, "not run", "", "", "", ""]
    return [cell, outcome.result, f"{outcome.seconds:.0f}", outcome.pods, outcome.tries, outcome.when]
