"""What is pushed to the git server is what Airflow runs, within a minute; reading needs no credential, pushing does."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tests.cluster.acts import PROBE
from tidegate.cli import git_push, runs
from tidegate.cli.port_forward import forward

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.acts import Acts
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

VISIBLE_SECONDS = 60
GONE_SECONDS = 180


def test_a_pushed_pipeline_shows_within_a_minute(acts: Acts) -> None:
    assert acts.probe.result() <= VISIBLE_SECONDS


def test_a_pipeline_whose_file_is_gone_takes_no_runs_any_more(acts: Acts, api: Airflow) -> None:
    acts.over.result()
    runs.until(
        lambda: (api.dag(PROBE) or {}).get("is_stale", True),
        seconds=GONE_SECONDS,
        what=f"{PROBE} to be gone",
        state=lambda: str(api.dag(PROBE)),
    )


def git(*words: str, at: Path | None = None) -> subprocess.CompletedProcess[str]:
    quiet = {**os.environ, **git_push._environment("")}
    return subprocess.run(["git", *words], cwd=at, env=quiet, capture_output=True, text=True, check=False, timeout=60)


def test_anybody_reads_and_nobody_pushes_without_the_credential(kubectl: Kubectl, tmp_path: Path) -> None:
    with forward(kubectl, git_push.SERVICE, git_push.PORT) as way:
        clone = tmp_path / "clone"
        read = git("clone", "--quiet", f"http://{way.address}/{git_push.REPOSITORY}", str(clone))
        assert read.returncode == 0, read.stderr
        assert (clone / "dags" / "petrol.py").is_file()
        git("commit", "--allow-empty", "--message", "uninvited", at=clone)
        refused = git("push", "origin", "HEAD:main", at=clone)
    assert refused.returncode != 0
    assert "Authentication failed" in refused.stderr or "could not read Username" in refused.stderr
