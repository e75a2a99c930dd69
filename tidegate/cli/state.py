"""What the last `tidegate up` settled, for the commands that come after it.

Writes: `<cache>/run/up.json`: `context`, `registry`, and `mode` (how Airflow was installed).
Again: replaced by the next `up`, removed by `down`.
"""

from __future__ import annotations

import json

from tidegate.cluster import cache

KIND_CONTEXT = "kind-tidegate"
"""The context of the cluster that `up` makes where none is named."""


def read() -> dict[str, str]:
    """The last state, or an empty one."""
    path = cache.root() / "run" / "up.json"
    found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return found


def write(**values: str) -> None:
    """Keep a new state in the place of the old."""
    cache.write(cache.root() / "run" / "up.json", json.dumps(values, indent=2) + "\n")


def airflow_by() -> str:
    """How Airflow was installed, in words."""
    words = {"official": "the official chart", "standalone": "one pod of our own (standalone)"}
    return words.get(read().get("mode", ""), "unknown")


def context(named: str | None = None) -> str:
    """The context to use: the one named, else that of the last `up`."""
    return named or read().get("context", KIND_CONTEXT)
