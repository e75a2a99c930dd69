"""What a step has used so far: this process and those it has waited for, as the kernel counted them.

Reads: the kernel's own counters, which cost nothing to keep. Again: grows.
"""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass

RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in one unit of `ru_maxrss`, see getrusage(2)."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """One number each for a whole step."""

    peak_memory_bytes: int
    """The most that one of its processes had resident at a time; several at once are not added up."""
    cpu_seconds: float
    """User and system time of all of them, to the millisecond."""


def used() -> Usage:
    """What it is now."""
    counts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Usage(
        peak_memory_bytes=max(one.ru_maxrss for one in counts) * RSS_UNIT,
        cpu_seconds=round(sum(one.ru_utime + one.ru_stime for one in counts), 3),
    )
