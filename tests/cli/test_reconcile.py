"""`tidegate reconcile` starts what the CronJob would start, and nothing else."""

from __future__ import annotations

import copy
from typing import Any

from tidegate.cli.reconcile import CRON_JOB, job_of

CONTAINER = {"name": "reconcile", "image": "tidegate/airflow:1", "args": ["--keep", "3"]}
SPEC = {"template": {"metadata": {"labels": {"tier": "airflow"}}, "spec": {"containers": [CONTAINER]}}}
FOUND: dict[str, Any] = {"spec": {"jobTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": SPEC}}}


def test_the_job_is_the_cron_jobs_own() -> None:
    before = copy.deepcopy(FOUND)
    job = job_of(FOUND, dry_run=False)
    assert job["spec"] == SPEC
    assert job["metadata"]["labels"] == {"a": "b"}
    assert job["metadata"]["generateName"].startswith(CRON_JOB)
    assert before == FOUND


def test_a_dry_run_says_so_to_the_job_alone() -> None:
    before = copy.deepcopy(FOUND)
    job = job_of(FOUND, dry_run=True)
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["--keep", "3", "--dry-run"]
    assert before == FOUND


def test_minutes_reach_the_job_alone() -> None:
    before = copy.deepcopy(FOUND)
    job = job_of(FOUND, dry_run=True, minutes=0)
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["--keep", "3", "--dry-run", "--minutes=0"]
    assert before == FOUND
