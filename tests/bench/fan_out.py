"""Many no-op steps at once against as many bare pods at once, and what that asks of the API server.

A round makes N bare pods and then runs one task that is mapped over N arguments; the next round is the other way round.
Measured: seconds from the request to the last end; requests about pods by verb, from the API server's own counters.
Those count everybody (kubelet, scheduler, controllers), so the bare pods' are the ones to compare with.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tests.bench import airflow_runs, bare, dags, figures
from tests.cluster.stage import DAG_LABEL, remove_pods, staged
from tidegate.cluster.errors import ClusterError
from tidegate.progress import console

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from tests.bench.setting import Setting
    from tidegate.cli.kubectl import Kubectl

BARE, STEPS = "bare pods", "steps"
GOAL = 1.1
"""Wall time of the steps, as a multiple of the bare pods'."""
SECONDS_EACH = 10.0
"""After so long for each of them, at least `LEAST_SECONDS`, something is wrong."""
LEAST_SECONDS = 300.0
SETTLE_SECONDS = 5.0
LOOKS = 200.0
"""At a run at most: each takes the API server some of the time that is measured."""
WATCHES_EVERY = 8.0
"""Seconds between two looks at how many watches are open."""


@dataclass(frozen=True)
class Sample:
    """One batch. `watches` is how many watches on pods were open at most beyond those before it."""

    seconds: float
    green: int
    requests: dict[str, int]
    watches: int


def measure(at: Setting) -> dict[str, Any]:
    """Size -> way -> samples, round by round."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    files = {dags.fan_id(size): dags.fan(dags.fan_id(size), size) for size in at.wish.sizes}
    with staged(at.kubectl, at.airflow, files):
        for size in at.wish.sizes:
            samples = found.setdefault(str(size), {BARE: [], STEPS: []})
            for number in range(at.wish.fan_rounds):
                for way in (BARE, STEPS)[:: -1 if number % 2 else 1]:
                    sample = counted(at.kubectl, _batch(at, way, size))
                    samples[way].append(asdict(sample))
                    console.print(f"  {size} {way}: {sample.seconds:.1f} s, {sample.green} green", markup=False)
    return found


@contextmanager
def _batch(at: Setting, way: str, size: int) -> Iterator[tuple[float, int]]:
    """Seconds, and how many succeeded; what has to be tidied up is so after the block."""
    limit = max(LEAST_SECONDS, SECONDS_EACH * size)
    if way == BARE:
        with bare.batch(at.kubectl, at.pods, at.pod, count=size, seconds=limit) as made:
            yield made.seconds, made.succeeded
    else:
        ended = airflow_runs.once(at.airflow, dags.fan_id(size), seconds=limit, every=limit / LOOKS)
        yield ended.seconds, ended.green
        remove_pods(at.kubectl, f"{DAG_LABEL}={dags.fan_id(size)}")


def counted(kubectl: Kubectl, batch: AbstractContextManager[tuple[float, int]]) -> Sample:
    """Run a batch between two looks at the API server's counters."""
    time.sleep(SETTLE_SECONDS)
    before = metrics(kubectl)
    with _most_watches(kubectl, before) as most, batch as (seconds, green):
        after = metrics(kubectl)
    asked = Counter(figures.requests(after))
    asked.subtract(figures.requests(before))
    watches = max(*most, figures.open_watches(after)) - figures.open_watches(before)
    return Sample(seconds, green, {verb: count for verb, count in sorted(asked.items()) if count}, watches)


@contextmanager
def _most_watches(kubectl: Kubectl, before: str) -> Iterator[list[int]]:
    """A list that grows while the block runs: how many watches on pods are open."""
    found, over = [figures.open_watches(before)], threading.Event()

    def look() -> None:
        while not over.wait(WATCHES_EVERY):
            with suppress(ClusterError):
                found.append(figures.open_watches(metrics(kubectl)))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join(60)


def metrics(kubectl: Kubectl) -> str:
    """The API server's counters, as Prometheus reads them."""
    return kubectl.text("get", "--raw", "/metrics")


def show(found: dict[str, Any]) -> str:
    """The section of the report."""
    rows, verdicts, asked = [], [], []
    for size, samples in found.items():
        spreads = {way: figures.spread([one["seconds"] for one in samples[way]]) for way in (BARE, STEPS)}
        ratio = spreads[STEPS].middle / spreads[BARE].middle
        green = [f"{one['green']}/{size}" for one in samples[STEPS]]
        rows.append([size, spreads[BARE], spreads[STEPS], f"{ratio:.2f}", ", ".join(green)])
        met = ratio <= GOAL and all(one["green"] == int(size) for one in samples[STEPS])
        verdicts.append(f"{size}: {'met' if met else 'not met'}")
        asked += _asked(size, samples)
    headings = ["at once", "bare pods, s: min / median / max", "steps, s: min / median / max", "ratio", "green"]
    return "\n\n".join(
        [
            "No-op steps in one mapped task against as many bare pods. From the request to the last end, in seconds.",
            figures.table(headings, rows),
            f"Goal: at most {GOAL} times the bare pods' wall time (medians), all green. {', '.join(verdicts)}.",
            "Requests about pods that the API server answered while it lasted (medians, by everybody), and how many "
            "more watches were open than before (0 where the one of the batch before still was; one of the bare pods' "
            "is the benchmark's own):",
            figures.table(["at once", "request", "bare pods", "steps"], asked),
        ]
    )


def _asked(size: str, samples: dict[str, list[dict[str, Any]]]) -> list[list[object]]:
    verbs = sorted({verb for way in samples.values() for one in way for verb in one["requests"]})
    lines: list[list[object]] = []
    for verb in verbs:
        middles = [
            figures.spread([one["requests"].get(verb, 0) for one in samples[way]]).middle for way in (BARE, STEPS)
        ]
        lines.append([size, verb, *(f"{middle:.0f}" for middle in middles)])
    most = [max(one["watches"] for one in samples[way]) for way in (BARE, STEPS)]
    return [*lines, [size, "watches open", *most]]
