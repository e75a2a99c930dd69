"""Somebody who has a checkout, the README and a cluster that runs, and types what stands in "Add a step".

Reads: README.md, the working tree. Writes: a copy of the working tree; by the README's own lines a step, a pipeline,
an image, an upgrade of the release, runs. `forget` takes all of it back but the image and the ledger's rows, which
count no more. Again: it all happens anew.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.cluster import stage
from tests.cluster.commands import tidegate
from tidegate.cli import release
from tidegate.cli.git_push import push_dags
from tidegate.cluster import chart, images
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

SECTION, DAG = "Add a step", "count_petrol"
SECONDS = 900
"""For one line on a busy machine."""


def lines() -> list[str]:
    """What the README says to type: the first block of the section."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition(f"\n## {SECTION}\n")[2].partition("\n## ")[0]
    block = re.search(r"^```\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return block[1].splitlines() if block else []


def checkout(folder: Path) -> Path:
    """The working tree as it would be committed, with the tests' own environment as its .venv."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    copy = folder / "tidegate"
    for name in (name for name in names if (ROOT / name).is_file()):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)
    (copy / ".venv").mkdir()
    (copy / ".venv" / "bin").symlink_to(os.path.dirname(sys.executable))  # noqa: PTH120 - not where a link leads
    return copy


def type_all(copy: Path) -> list[tuple[str, str, float]]:
    """Type every line in the copy; what each printed, and its seconds. A line that fails ends it with its output."""
    told = []
    environment = {**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "200"}
    for line in lines():
        begun = time.monotonic()
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        told.append((line, done.stdout, round(time.monotonic() - begun, 1)))
    return told


def forget(kubectl: Kubectl, api: Airflow) -> None:
    """The release and the pipelines as they were."""
    stage.end_runs(api, DAG)
    found, _ = chart.find_airflow_chart()
    release.install(kubectl, chart=chart.stage(found), refs=images.references())
    push_dags(kubectl, ROOT / "dags", message=f"remove {DAG}")
    stage.clear(kubectl, api, [DAG])
    done = tidegate("ledger", "invalidate", "--pipeline", DAG, "--why", "tests", seconds=120)
    assert done.returncode == 0, done.stderr
