"""One step on this machine, without a cluster: a process of its own with what the step contract names.

Reads: the checkout's `jobs/`, and the caller's environment, where stores and the step find their secrets.
Writes: what the step writes. Again: as the step itself; the earlier result is removed first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.cli.fault import Fault
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

BUILD = ROOT / "build" / "run"
ERRORS = 2
"""The file descriptor of standard error: standard output carries the result alone."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What somebody typed: `NAME=VALUE` each."""

    step: str
    params: Sequence[str] = ()
    inputs: Sequence[str] = ()
    output: str = ""
    logical_date: str = ""


def run(asked: Asked) -> tuple[int, dict[str, Any] | None]:
    """Run it to its end, its words going to the terminal; exit code, and the result where it left one."""
    with tempfile.TemporaryDirectory(prefix="tidegate-run-") as folder:
        result = Path(folder) / "result.json"
        environ = {**os.environ, **environment(asked), "TIDEGATE_RESULT": str(result)}
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        command = [sys.executable, "-m", "jobs", asked.step]
        done = subprocess.run(command, env=environ | {"PYTHONPATH": path}, stdout=ERRORS, check=False)
        return done.returncode, json.loads(result.read_bytes()) if result.exists() else None


def environment(asked: Asked) -> dict[str, str]:
    """The contract's variables; raises `Fault` for what is no NAME=VALUE."""
    params = {name: _value(text) for name, text in map(_pair, asked.params)}
    inputs = {name: url(text) for name, text in map(_pair, asked.inputs)}
    date = asked.logical_date or datetime.now(UTC).isoformat()
    who = {"dag_id": "local", "run_id": "local", "task_id": asked.step, "map_index": -1, "try_number": 1}
    return {
        "TIDEGATE_PARAMS": json.dumps(params),
        "TIDEGATE_INPUTS": json.dumps(inputs),
        "TIDEGATE_OUTPUT": url(asked.output or str(BUILD / asked.step)),
        "TIDEGATE_RUN": json.dumps({**who, "logical_date": date, "ledger_key": ""}),
    }


def url(text: str) -> str:
    """A URL as it is, a path of this machine as one."""
    return text if "://" in text else Path(text).resolve().as_uri()


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        msg = f"{text!r} is no NAME=VALUE"
        raise Fault(msg)
    return name, value


def _value(text: str) -> Any:  # noqa: ANN401 - any JSON
    """JSON where it is some, else the text itself: `5` is a number, `"5"` and `five` are text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
