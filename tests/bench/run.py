"""Runs the benchmarks on the cluster that `make up` made, and writes the report.

Reads: the cluster. Writes: `tests/bench/results.md`, `build/bench/<name>.json`. Again: the figures of what runs are
replaced. Exit: 0 when everything that was asked for has run; a goal that is not met is a figure, not a failure.

  step_overhead  one no-op step by step(), by the stock operator, and as a bare pod; and the hops of step()
  fan_out        many no-op steps at once, against as many bare pods; and the requests that makes
  idle           what the triggerer uses while many steps wait
  hit            the steps of `petrol` when nothing has changed: recorded results, no pods
  images         sizes and build times of the images, and the time from an edit to a pod that runs it

The report has a part `dedup` too; it needs no cluster, and is measured by `python -m tests.bench.dedup`.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from tests.bench import fan_out, hit, idle, images, report, step_overhead
from tests.bench.dedup import table as dedup
from tests.bench.setting import Setting, Wish, setting
from tidegate.cli import state
from tidegate.cluster.errors import ClusterError
from tidegate.progress import console, progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MEASURE: dict[str, Callable[[Setting], Any]] = {
    "step_overhead": step_overhead.measure,
    "fan_out": fan_out.measure,
    "idle": idle.measure,
    "hit": hit.measure,
    "images": images.measure,
}
SHOW: dict[str, Callable[[Any], str]] = {
    "step_overhead": step_overhead.show,
    "fan_out": fan_out.show,
    "idle": idle.show,
    "hit": hit.show,
    "images": images.show,
    "dedup": dedup.show,
}


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(MEASURE)}; default: all")
    parser.add_argument("--rounds", type=int, default=Wish.rounds, help="of step_overhead (default %(default)s)")
    parser.add_argument("--fan-rounds", type=int, default=Wish.fan_rounds, help="of fan_out (default %(default)s)")
    parser.add_argument("--sizes", type=_sizes, default=Wish.sizes, help="of fan_out, such as 30,200 (the default)")
    parser.add_argument("--waiting", type=int, default=Wish.waiting, help="steps of idle (default %(default)s)")
    parser.add_argument("--idle-seconds", type=float, default=Wish.idle_seconds, help="default %(default)s")
    parser.add_argument("--hits", type=int, default=Wish.hits, help="runs of hit (default %(default)s)")
    parser.add_argument("--edit-rounds", type=int, default=Wish.edit_rounds, help="of images (default %(default)s)")
    parser.add_argument("--context", help="kubeconfig context; default: that of the last `up`")
    found = parser.parse_args(words)
    if unknown := sorted(set(found.names) - set(MEASURE)):
        parser.error(f"no benchmark called {', '.join(unknown)}; want some of {', '.join(MEASURE)}")
    if min(found.rounds, found.fan_rounds, found.waiting, found.hits, found.edit_rounds) < 1:
        parser.error("--rounds, --fan-rounds, --waiting, --hits and --edit-rounds are at least 1")
    return found


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(int(word) for word in text.split(","))
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: each is at least 1")
    return sizes


def measure(at: Setting, names: Sequence[str]) -> dict[str, str]:
    """Run what is named, keep its figures, and give back the faults of what could not be measured."""
    where, faults = report.machine(at.kubectl), {}
    for name in names:
        try:
            with progress.phase(f"Measure {name}"):
                report.keep(name, MEASURE[name](at), where=where)
        except (ClusterError, AssertionError) as fault:
            faults[name] = f"{type(fault).__name__}: {fault}"
            console.print(f"  {name}: {faults[name]}", markup=False)
        finally:
            report.write(SHOW, faults)
    return faults


def main(words: Sequence[str]) -> int:
    """Measure, and say where the report is."""
    asked = arguments(words)
    wish = Wish(
        asked.rounds, asked.fan_rounds, asked.sizes, asked.waiting, asked.idle_seconds, asked.hits, asked.edit_rounds
    )
    names = [name for name in MEASURE if not asked.names or name in asked.names]
    with setting(state.context(asked.context), wish) as at:
        faults = measure(at, names)
    console.print(f"{report.RESULTS}: {', '.join(names)}" + (f"; failed: {', '.join(faults)}" if faults else ""))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
