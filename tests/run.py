"""Runs the rungs of tests, and says which ran.

Reads: the rungs named as arguments, else all; `CI=true` makes a skip that is not declared optional a failure.
Writes: `build/junit/<rung>.xml`, `build/times/tests.json` and `build/report.md`. Again: the reports are replaced.
Exit: 0 when every test passed, 1 otherwise. A rung that fails does not stop the next ones, so one run shows all.
All but the last run side by side, three at a time, and each shows what it printed when it ends. The last waits a good
deal, so that what only computes runs beside it and yields to it.

A skip whose reason begins with `optional:` is allowed in CI and listed as `not run`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tidegate.progress import Progress

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "build"
RUNGS = ("static", "steps", "cli", "jobs", "ledger", "dags", "helm", "browser", "cluster_units", "images", "cluster")
NEEDS_ENGINE = ("images", "cluster")
ALONE = ("cluster",)
"""Rungs beside which little else runs: they wait for what others would slow down."""
BESIDE = ("helm",)
"""Rungs without servers or clocks, which run beside those where they are wanted, on what those leave of the cores.

They leave nothing in the checkout: the last test of the cluster looks for what it left.
"""
PARTS = {"jobs": ("jobs", "jobs/azure_ml"), "steps": ("steps", "steps/outage")}
"""Rungs too long for one lane, as folders of tests that run side by side; the first leaves out the others."""
WAITING = ("steps/outage", "jobs/azure_ml")
"""Parts that wait for most of their time, so that they take no lane: the second computes for 40 of its 140 seconds."""
LANES = 3
"""How many of the others run at once: each waits for servers now and then."""
OWN_WORDS = ": optional: not run: "
"""Before what a skip wants to have printed as it is."""
LONGEST = ("jobs", "images", "dags", "steps", "browser", "ledger", "cli", "static")
"""The longest of them, which are begun first, so that the lanes end together."""

console = Console(highlight=False)


@dataclass(frozen=True)
class Outcome:
    """What one rung came to; `skips` are lines `test: reason`."""

    rung: str
    seconds: float
    passed: int
    failed: int
    skips: tuple[str, ...] = ()
    missing: str = ""

    @property
    def optional(self) -> tuple[str, ...]:
        """The skips that are allowed everywhere."""
        return tuple(skip for skip in self.skips if ": optional:" in skip)

    def green(self, *, in_ci: bool) -> bool:
        """Whether this rung lets the whole pass: in CI nothing may be missing unless it is optional."""
        if in_ci and (self.missing or len(self.skips) > len(self.optional)):
            return False
        return self.failed == 0 and (self.passed > 0 or bool(self.missing))


def missing_for(rung: str) -> str:
    """Why `rung` cannot run on this machine, or nothing."""
    if rung not in NEEDS_ENGINE:
        return ""
    from tidegate.cluster import doctor  # noqa: PLC0415 - the other rungs run without it

    faults = [f"{check.name}: {check.advice}" for check in doctor.checks() if check.fatal and not check.ok]
    return "; ".join(faults)


def run(rung: str, *, live: bool, yielding: bool = False) -> Outcome:
    """One rung in a pytest of its own, whose output is shown as it comes (`live`) or at the end."""
    reason = missing_for(rung)
    if reason:
        return Outcome(rung, 0.0, 0, 0, missing=reason)
    report = BUILD / "junit" / f"{rung.replace('/', '_')}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    start = time.monotonic()
    others = [f"--ignore=tests/{part}" for part in PARTS.get(rung, ())[1:]]
    command = [sys.executable, "-m", "pytest", f"tests/{rung}", *others, f"--junitxml={report}", "-q", "--durations=10"]
    command = ["nice", "-n", "19", *command] if yielding else command
    kept = None if live else subprocess.PIPE
    done = subprocess.run(
        command,
        cwd=HERE.parent,
        env=environment(),
        check=False,
        text=True,
        stdout=kept,
        stderr=kept and subprocess.STDOUT,
    )
    console.print(done.stdout or "", markup=False, soft_wrap=True, end="")
    return read(rung, report, code=done.returncode, seconds=round(time.monotonic() - start, 1))


def environment() -> dict[str, str]:
    """This process's, in which bytecode is kept: else each process that a test starts compiles all that it imports."""
    return {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def read(rung: str, report: Path, *, code: int, seconds: float) -> Outcome:
    """The outcome in a JUnit file; a pytest that died or found nothing counts as one failure."""
    if not report.exists():
        return Outcome(rung, seconds, 0, 1)
    cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 - written by our own pytest
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skips = tuple(_skip(case) for case in cases if case.find("skipped") is not None)
    died = code != 0 and not failed
    return Outcome(rung, seconds, len(cases) - len(failed) - len(skips), len(failed) + died, skips)


def _skip(case: ET.Element) -> str:
    skipped = case.find("skipped")
    reason = skipped.get("message", "") if skipped is not None else ""
    return f"{case.get('classname')}.{case.get('name')}: {reason}"


def report(outcomes: list[Outcome], *, in_ci: bool) -> list[tuple[str, ...]]:
    """One line of the table for each rung."""
    lines: list[tuple[str, ...]] = []
    for one in outcomes:
        verdict = "not run" if one.missing else "green" if one.green(in_ci=in_ci) else "FAILED"
        figures = (str(one.passed), str(one.failed), str(len(one.skips)), f"{one.seconds:.0f}")
        lines.append((one.rung, verdict, *figures))
    return lines


HEADINGS = ("rung", "result", "passed", "failed", "skipped", "seconds")


def show(outcomes: list[Outcome], *, in_ci: bool) -> None:
    """Print the table and write it to `build/report.md`."""
    rows = report(outcomes, in_ci=in_ci)
    table = Table(*HEADINGS)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    ruler = ["---"] * len(HEADINGS)
    text = "\n".join("| " + " | ".join(row) + " |" for row in (HEADINGS, ruler, *rows))
    (BUILD / "report.md").write_text(text + "\n" + "\n".join(closing(outcomes)) + "\n")
    console.print("\n".join(closing(outcomes)), markup=False)


def closing(outcomes: list[Outcome]) -> list[str]:
    """The last lines: what ran, in which mode, what did not, and the sum. A skip may bring its own words for it."""
    ran = [one.rung for one in outcomes if not one.missing]
    lines = [f"not run: {skip.rpartition(OWN_WORDS)[2]}" for one in outcomes for skip in one.skips]
    lines = list(dict.fromkeys(lines))
    lines += [f"not run: rung {one.rung}: {one.missing}" for one in outcomes if one.missing]
    lines.append(f"rungs run: {', '.join(ran) or 'none'}")
    if "cluster" in ran:
        lines.append(f"Airflow installed by: {airflow_by(BUILD / 'junit' / 'cluster.xml')}")
    passed, failed = sum(one.passed for one in outcomes), sum(one.failed for one in outcomes)
    return [*lines, f"{passed} passed, {failed} failed"]


def airflow_by(report: Path) -> str:
    """How the rung `cluster` had Airflow installed: the cluster is gone by now, so the rung wrote it down."""
    if not report.exists():
        return "unknown"
    noted = ET.parse(report).getroot().find(".//property[@name='airflow']")  # noqa: S314 - written by our own pytest
    return "unknown" if noted is None else noted.get("value", "unknown")


def run_all(rungs: list[str], times: Progress) -> list[Outcome]:
    """Those that can side by side, those that wait beside them, then the others one by one."""

    def timed(rung: str, *, live: bool, yielding: bool = False) -> Outcome:
        with times.phase(f"rung {rung}"):
            return run(rung, live=live, yielding=yielding)

    alone = [rung for rung in rungs if rung in ALONE]
    later = [rung for rung in rungs if alone and rung in BESIDE]
    several = sorted({*rungs} - {*alone, *later}, key=lambda rung: (*LONGEST, rung).index(rung))
    with ThreadPoolExecutor(max_workers=LANES) as lanes, ThreadPoolExecutor(max_workers=len(WAITING)) as beside:

        def begun(rung: str) -> Future[Outcome]:
            return (beside if rung in WAITING else lanes).submit(timed, rung, live=len(several) == 1)

        outcomes = [one.result() for one in [begun(rung) for rung in several]]
    with ThreadPoolExecutor(max_workers=1) as beside:
        yielding = [beside.submit(timed, rung, live=False, yielding=True) for rung in later]
        outcomes += [timed(rung, live=True) for rung in alone]
        outcomes += [one.result() for one in yielding]
    return sorted(outcomes, key=lambda one: rungs.index(one.rung))


def main(names: list[str]) -> int:
    """Run the rungs named, or all of them."""
    unknown = sorted(set(names) - set(RUNGS))
    if unknown:
        console.print(f"no rung called {', '.join(unknown)}; want some of {', '.join(RUNGS)}")
        return 2
    in_ci = os.environ.get("CI") == "true"
    times = Progress()
    wanted = [name for name in RUNGS if not names or name in names]
    outcomes = run_all([part for name in wanted for part in PARTS.get(name, (name,))], times)
    times.write(BUILD / "times" / "tests.json")
    show(outcomes, in_ci=in_ci)
    return 0 if all(one.green(in_ci=in_ci) for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
