"""What is told while the step runs, and what it is told: values for later tasks, and that a person stopped the task.

Writes: lines `TIDEGATE_VALUE {"name", "value"}` on standard output, which become XComs at once. Reads: the file that
`$TIDEGATE_STOPPED_FILE` names, which is empty unless the task was stopped for good; an eviction leaves it empty.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MARK = "TIDEGATE_VALUE "
STOPPED_FILE = "TIDEGATE_STOPPED_FILE"


def tell(values: Mapping[str, str]) -> None:
    """Tell values by name, each on a line of its own; empty ones are left out."""
    for name, value in values.items():
        if value:
            sys.stdout.write(f"{MARK}{json.dumps({'name': name, 'value': value})}\n")
    sys.stdout.flush()


def stopped() -> str:
    """Why the task was stopped for good; empty where it was not, or nobody can tell."""
    path = os.environ.get(STOPPED_FILE)
    try:
        return Path(path).read_text(encoding="utf-8").strip() if path else ""
    except OSError:
        return ""
