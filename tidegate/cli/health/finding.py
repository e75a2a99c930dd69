"""One thing that was looked at, and the verdict. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it is."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; nothing is broken."""
    BAD = "BAD"
    """Something does not work."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was looked at, and what was seen."""

    what: str
    verdict: Verdict = Verdict.OK
    seen: str
    do: str = ""
    """What to do next: a command, or what to change. Not empty where the verdict is BAD."""
