"""What people see while something long goes on, and the times it took.

Every phase of more than a few seconds runs inside `phase(...)`: it says what begins, shows the newest line of a
command's output while it runs, and ends with the seconds it took. The times of a whole call are kept in
`build/times/<name>.json`, one object a phase: `{"phase", "seconds", "ok"}`.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

console = Console(stderr=True, highlight=False)
"""Progress goes to standard error, so that `--json` on standard output stays clean."""


@dataclass(frozen=True)
class Timing:
    """How long one phase took, in seconds of wall time."""

    phase: str
    seconds: float
    ok: bool


@dataclass
class Progress:
    """The phases of one call, in order."""

    timings: list[Timing] = field(default_factory=list)

    @contextmanager
    def phase(self, title: str) -> Iterator[None]:
        """Announce `title`, run the block, print what it took; a failing block is timed too."""
        console.print(f"[bold]>[/bold] {title} ...")
        start, ok = time.monotonic(), False
        try:
            yield
            ok = True
        finally:
            seconds = round(time.monotonic() - start, 1)
            self.timings.append(Timing(title, seconds, ok))
            mark = "[green]done[/green]" if ok else "[red]failed[/red]"
            console.print(f"  {mark} {title} [dim]{seconds:.1f} s[/dim]")

    def write(self, path: Path) -> None:
        """Write the timings as JSON, atomically."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps([asdict(t) for t in self.timings], indent=2) + "\n")
        partial.replace(path)


progress = Progress()
"""The one of this process."""
