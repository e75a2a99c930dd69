"""Findings for people and for programs. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tidegate.cli import table
from tidegate.cli.health.finding import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from tidegate.cli.health.finding import Finding
    from tidegate.cli.health.gather import Answers

COLOURS = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.BAD: "bold red"}


def well(found: Sequence[Finding]) -> bool:
    """Whether nothing of it is BAD."""
    return all(one.verdict is not Verdict.BAD for one in found)


def platform(told: Answers, found: Sequence[Finding]) -> Table:
    """A line for each finding."""
    lines = [(one.what, f"[{COLOURS[one.verdict]}]{one.verdict}[/]", _plain(one.seen)) for one in found]
    return table.rows(f"Platform in {told.context}", ("what", "is", "seen"), lines)


def _plain(text: str) -> str:
    """Not read as markup."""
    return text.replace("[", "\\[")


def pipelines(told: Answers) -> Table:
    """The newest run of every pipeline."""
    lines = [(one["dag"], one["state"] or "never ran", one["run"] or "-") for one in told.airflow.get("runs", [])]
    return table.rows("Pipelines", ("pipeline", "state", "newest run"), lines)


def to_do(found: Sequence[Finding]) -> list[str]:
    """What to do next, the worst first."""
    wanted = [one for one in found if one.do and one.verdict is not Verdict.OK]
    worst_first = sorted(wanted, key=lambda one: one.verdict is not Verdict.BAD)
    return [f"{one.what}: {one.do}" for one in worst_first]


def document(told: Answers, found: Sequence[Finding]) -> dict[str, Any]:
    """All of it, for `--json`."""
    return {
        "ok": well(found),
        "context": told.context,
        "release": told.release,
        "findings": [asdict(one) for one in found],
        "pipelines": told.airflow.get("runs", []),
        "steps": told.ledger.get("ledger", {}).get("counts", {}),
    }
