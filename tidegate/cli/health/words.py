"""Times and faults in few words. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

TIDEGATE: Final = ".venv/bin/tidegate"
UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
MOST: Final = 200


def ago(then: str, now: datetime) -> str:
    """How long before `now`, in its largest unit: `3 h`; `then` is ISO 8601 with its offset."""
    seconds = max(0.0, (now - datetime.fromisoformat(then)).total_seconds())
    size, unit = next((one for one in UNITS if seconds >= one[0]), UNITS[-1])
    return f"{int(seconds // size)} {unit}"


def first_line(text: str) -> str:
    """What a table has room for: the last line of a failed command's message is what it said of the cause."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("`"):
        lines = lines[1:]
    return (lines or [""])[0][:MOST]
