"""What is pushed to the git server is what Airflow runs, within a minute; reading needs no credential, pushing does."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

from tests.cluster.pushed import pushed
from tidegate.cli import git_push, runs
from tidegate.cli.port_forward import forward

if TYPE_CHECKING:
    from pathlib import Path

    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

VISIBLE_SECONDS = 60
GONE_SECONDS = 180
DAG = """\
from airflow.sdk import DAG

from tidegate.airflow import step

with DAG("{dag_id}", schedule=None, is_paused_upon_creation=True):
    step("hello")
"""


def test_a_pushed_pipeline_shows_within_a_minute(kubectl: Kubectl, api: Airflow) -> None:
    dag_id = f"pushed_{time.time_ns()}"
    start = time.monotonic()
    with pushed(kubectl, "pushed.py", DAG.format(dag_id=dag_id)):
        runs.wait_visible(api, dag_id, seconds=VISIBLE_SECONDS)
        assert time.monotonic() - start <= VISIBLE_SECONDS
        found = api.dag(dag_id)
        assert found
        assert found["fileloc"].endswith("/dags/pushed.py")
    runs.until(
        lambda: (api.dag(dag_id) or {}).get("is_stale", True),
        seconds=GONE_SECONDS,
        what=f"{dag_id} to be gone",
        state=lambda: str(api.dag(dag_id)),
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
