"""Runs steps as a pod does: a process of its own with nothing set but what the contract names."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests import forked
from tests.jobs.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """How a step ended."""

    code: int
    out: str
    error: str
    result: dict[str, Any] | None

    @property
    def last_line(self) -> str:
        return self.error.splitlines()[-1] if self.error else ""


def environment(
    folder: Path,
    *,
    params: Mapping[str, object] | None = None,
    inputs: Mapping[str, str] | None = None,
    output: str = "",
    logical_date: str = "2026-01-31T13:37:00+00:00",
) -> dict[str, str]:
    """The contract's variables, and nothing else."""
    run = {"dag_id": "petrol", "run_id": "r", "task_id": "t", "map_index": -1, "try_number": 1, "ledger_key": ""}
    return {
        "TIDEGATE_PARAMS": json.dumps(params or {}),
        "TIDEGATE_INPUTS": json.dumps(inputs or {}),
        "TIDEGATE_OUTPUT": output or (folder / "out").as_uri(),
        "TIDEGATE_RUN": json.dumps(run | {"logical_date": logical_date}),
        "TIDEGATE_RESULT": str(folder / "result.json"),
    }


def run_step(step: str, environ: Mapping[str, str], *, module: str = "jobs") -> Ended:
    """Run `python -m jobs STEP` to its end."""
    command = [sys.executable, "-m", module, step]
    done = subprocess.run(
        command, env=dict(environ), cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    return Ended(done.returncode, done.stdout, done.stderr, result_of(environ))


def fork_step(step: str, environ: Mapping[str, str]) -> Ended:
    """As `run_step`, in a fork of a process that has loaded its libraries: for all but the first look at a step."""
    done = forked.run(["-m", "jobs", step], env=environ)
    return Ended(done.returncode, done.stdout, done.stderr, result_of(environ))


def result_of(environ: Mapping[str, str]) -> dict[str, Any] | None:
    """The result the step left, if any."""
    try:
        with open(environ["TIDEGATE_RESULT"], encoding="utf-8") as file:  # noqa: PTH123
            result: dict[str, Any] = json.load(file)
            return result
    except FileNotFoundError:
        return None


def files(folder: Path) -> list[str]:
    """All files below a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def train(folder: Path, data: bytes, **params: object) -> Ended:
    """Train on `data` in a process of its own, a fork; few trees unless told."""
    folder.mkdir(exist_ok=True)
    (folder / "data.csv").write_bytes(data)
    url = (folder / "data.csv").as_uri()
    return fork_step("train_model", environment(folder, params={"n_estimators": 5, **params}, inputs={"data": url}))


def published(folder: Path) -> list[str]:
    return [name for name in files(folder) if name != "data.csv"]
