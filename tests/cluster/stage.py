"""DAGs of a test or a benchmark in the cluster, with all they need, and nothing left of them afterwards.

Reads: Airflow's API, the git server. Writes: one push with the DAG files beside the real ones, a service account for
each, and in the end everything back: runs ended, files, DAGs with their runs, pods and service accounts gone.
Again: what a killed call left is cleared first.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli import runs
from tidegate.cli.fault import Fault
from tidegate.cli.git_push import push_dags
from tidegate.cli.kubectl import STEPS_NAMESPACE
from tidegate.cluster.errors import ClusterError
from tidegate.cluster.project import ROOT
from tidegate.progress import console, progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

SHOWN_SECONDS = 180
GONE_SECONDS = 240
ENDED_SECONDS = 300
PAUSES = 3
DAG_LABEL = "tidegate.dev/dag"
"""Label of every step's pod."""


@contextmanager
def staged(kubectl: Kubectl, api: Airflow, dags: Mapping[str, str]) -> Iterator[None]:
    """DAG id -> text of its file: all of them known to Airflow and switched on while the block runs."""
    clear(kubectl, api, dags)
    with progress.phase(f"Push {', '.join(dags)}"):
        for dag_id in dags:
            _service_account(kubectl, dag_id)
        _push(kubectl, dags)
    try:
        with progress.phase("Wait until Airflow has read them"):
            for dag_id, text in dags.items():
                runs.wait_visible(api, dag_id, source=text, seconds=SHOWN_SECONDS)
                api.unpause(dag_id)
        yield
    finally:
        with progress.phase(f"Remove {', '.join(dags)}"):
            for dag_id in dags:
                end_runs(api, dag_id)
            push_dags(kubectl, ROOT / "dags", message=f"remove {', '.join(dags)}")
            clear(kubectl, api, dags)


def clear(kubectl: Kubectl, api: Airflow, dag_ids: Iterable[str]) -> None:
    """Forget DAGs whose files are gone, with their runs, pods and service accounts."""
    for dag_id in dag_ids:
        if api.dag(dag_id) is not None:
            end_runs(api, dag_id)
            _forget(api, dag_id)
        for label in (f"{DAG_LABEL}={dag_id}", f"dag_id={dag_id}"):
            remove_pods(kubectl, label)
        name = service_account(dag_id)
        kubectl.text("delete", "serviceaccount", name, "--namespace", STEPS_NAMESPACE, "--ignore-not-found")


def _forget(api: Airflow, dag_id: str) -> None:
    """Delete a DAG once its file is not read any more: Airflow would read it again otherwise."""
    try:
        runs.until(
            lambda: (api.dag(dag_id) or {}).get("is_stale", True),
            seconds=GONE_SECONDS,
            what=f"the file of {dag_id} to be gone",
            state=lambda: str(api.dag(dag_id)),
        )
        api.call("DELETE", f"dags/{dag_id}", missing_ok=True)
    except Fault as fault:
        console.print(f"  {dag_id} is left over: {fault}", markup=False)


def remove_pods(kubectl: Kubectl, selector: str) -> None:
    """Delete pods of steps at once, and wait until they are gone."""
    where = ("--namespace", STEPS_NAMESPACE, "--selector", selector)
    kubectl.text("delete", "pods", *where, "--grace-period=1", "--timeout=240s", timeout=300)


def end_runs(api: Airflow, dag_id: str) -> None:
    """Mark every run that is under way as failed, and wait until it is over: that is what a person would do."""

    def under_way() -> list[str]:
        return [one["dag_run_id"] for one in api.runs(dag_id, limit=100) if one["state"] not in runs.OVER]

    for run_id in under_way():
        api.call("PATCH", f"dags/{dag_id}/dagRuns/{run_id}", json={"state": "failed"})
    runs.until(
        lambda: not under_way(),
        seconds=ENDED_SECONDS,
        what=f"the runs of {dag_id} to end",
        state=lambda: ", ".join(under_way()),
    )


def service_account(dag_id: str) -> str:
    """Whom the steps of a DAG run as; the chart makes one for each of its pipelines only."""
    return f"pipeline-{dag_id.replace('_', '-')}"


def _service_account(kubectl: Kubectl, dag_id: str) -> None:
    metadata = {"name": service_account(dag_id), "namespace": STEPS_NAMESPACE}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    kubectl.text("apply", "--filename", "-", stdin=json.dumps(account | {"automountServiceAccountToken": False}))


def _push(kubectl: Kubectl, dags: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "dags"
        shutil.copytree(ROOT / "dags", folder, ignore=shutil.ignore_patterns("__pycache__"))
        for dag_id, text in dags.items():
            (folder / f"{dag_id}.py").write_text(text)
        push_dags(kubectl, folder, message=f"add {', '.join(dags)}")


@contextmanager
def quiet(api: Airflow, *, but: Iterable[str] = ()) -> Iterator[None]:
    """Every other DAG paused, and none of its runs under way, while the block runs."""
    others = [dag_id for dag_id in api.dag_ids() if dag_id not in set(but)]
    awake = [dag_id for dag_id in others if not (api.dag(dag_id) or {}).get("is_paused", True)]
    try:
        _fall_asleep(api, awake)
        yield
    finally:
        for dag_id in awake:
            try:
                api.unpause(dag_id)
            except ClusterError as fault:
                console.print(f"  {dag_id} is left paused: {fault}", markup=False)


def _fall_asleep(api: Airflow, awake: list[str]) -> None:
    """Pause these when none of their runs is under way: a run of a paused DAG does not go on."""
    for _ in range(PAUSES):
        runs.wait(api, _open(api, awake), seconds=ENDED_SECONDS)
        for dag_id in awake:
            api.call("PATCH", f"dags/{dag_id}", json={"is_paused": True})
        if not _open(api, awake):
            return
        for dag_id in awake:
            api.unpause(dag_id)
    msg = f"a run of {', '.join(awake)} began whenever they were to be paused; try again"
    raise Fault(msg)


def _open(api: Airflow, dag_ids: list[str]) -> list[runs.Run]:
    found = [(dag_id, one) for dag_id in dag_ids for one in api.runs(dag_id)]
    return [runs.Run(dag_id, one["dag_run_id"]) for dag_id, one in found if one["state"] not in runs.OVER]
