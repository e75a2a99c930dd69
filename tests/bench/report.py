"""`tests/bench/results.md`, out of what each benchmark last measured.

Reads, writes: `build/bench/<name>.json`: the figures of one benchmark, with the time, the machine and the commit they
are of. Writes: `tests/bench/results.md`. Again: a benchmark's figures replace its older ones; the others stay, and each
says of when it is.
"""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tidegate.cli import state
from tidegate.cluster import cache, commands
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tidegate.cli.kubectl import Kubectl

BUILD = ROOT / "build" / "bench"
RESULTS = ROOT / "tests" / "bench" / "results.md"
HEAD = """\
# Benchmarks

Written by `make bench`, on a cluster made by `make up`. `python -m tests.bench.run --help` tells what each measures.
"""


def keep(name: str, figures: Any, *, where: str) -> None:
    """Note what a benchmark has measured."""
    BUILD.mkdir(parents=True, exist_ok=True)
    record = {"when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "where": where, "figures": figures}
    cache.write(BUILD / f"{name}.json", json.dumps(record, indent=2) + "\n")


def kept(name: str) -> dict[str, Any] | None:
    """What it noted last."""
    path = BUILD / f"{name}.json"
    return dict(json.loads(path.read_text())) if path.exists() else None


def write(sections: Mapping[str, Callable[[Any], str]], faults: Mapping[str, str]) -> None:
    """Write the report: a section for each benchmark, in order, and what did not run and why."""
    records = {name: kept(name) for name in sections}
    cache.write(RESULTS, text(sections, records, faults, standing=standing()))


def standing() -> dict[str, str]:
    """By name, the sections of the report as it is: what was measured on another machine stays."""
    if not RESULTS.exists():
        return {}
    parts = (part.partition("\n") for part in RESULTS.read_text().split("\n## ")[1:])
    return {name: f"## {name}\n{body.rstrip()}\n" for name, _, body in parts}


def text(
    sections: Mapping[str, Callable[[Any], str]],
    records: Mapping[str, dict[str, Any] | None],
    faults: Mapping[str, str],
    *,
    standing: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The report."""
    parts = [HEAD]
    for name, show in sections.items():
        record = records[name]
        if record:
            parts.append(f"## {name}\n\n{record['when']}, {record['where']}.\n\n{show(record['figures'])}\n")
        elif name in standing:
            parts.append(standing[name])
    unseen = [name for name in sections if not records[name] and name not in standing]
    parts.append(_missing(unseen, faults))
    return "\n".join(part for part in parts if part)


def _missing(names: Sequence[str], faults: Mapping[str, str]) -> str:
    lines = [f"- `{name}` has not run." for name in names if name not in faults]
    lines += [f"- `{name}` failed when it last ran: {fault.splitlines()[0]}" for name, fault in faults.items()]
    return "\n".join(["## What did not run", "", *lines, ""]) if lines else ""


def machine(kubectl: Kubectl) -> str:
    """On what it was measured, in a line."""
    server = json.loads(kubectl.text("version", "--output", "json"))["serverVersion"]["gitVersion"]
    return f"{host()}, Kubernetes {server}, Airflow by {state.airflow_by()}, {commit()}"


def host() -> str:
    """This machine's cores and memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{len(os.sched_getaffinity(0))} cores ({platform.machine()}), {memory:.1f} GiB"


def commit() -> str:
    """The commit that was measured, and whether the working tree had changes."""
    git = ["git", "-C", str(ROOT)]
    changed = commands.output([*git, "status", "--porcelain", "--untracked-files=no"]).strip()
    return (
        f"commit {commands.output([*git, 'rev-parse', '--short', 'HEAD']).strip()}{' with changes' if changed else ''}"
    )
