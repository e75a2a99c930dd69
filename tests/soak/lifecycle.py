"""The release itself while a run is under way: upgraded, rolled back, and in the end uninstalled and installed again.

`make soak CELLS=lifecycle`, or `pytest tests/soak/lifecycle.py`. It is no rung of `make test`: each change of a setting
restarts all of Airflow, which takes minutes on two cores. Writes: revisions of the release; the last test takes it away
and calls `tidegate up`. Again: the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster import counted
from tests.cluster.commands import tidegate
from tests.cluster.stage import staged
from tests.cluster.timeline import Timeline
from tests.soak.changed import READY_SECONDS, helm, newest
from tidegate.cli import pods, release, runs
from tidegate.cli.airflow_api import airflow
from tidegate.cli.kubectl import NAMESPACE, STEPS_NAMESPACE
from tidegate.cluster import chart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

DAG = counted.Counted("soak_lifecycle", lines=120, seconds=300)
"""Its first step takes longer than an upgrade and a rollback together usually do."""
SETTING, VALUE = "AIRFLOW__API__LOG_FETCH_TIMEOUT_SEC", "11"
"""What the upgrade changes; every part of Airflow is started anew by it."""
STARTS_WITHIN, ENDS_WITHIN, GONE_SECONDS = 120, 900, 300


def setting(kubectl: Kubectl) -> str:
    """What Airflow is told."""
    return str(kubectl.read("configmap", "tidegate-airflow")["data"][SETTING])


def airflows_pods(kubectl: Kubectl) -> dict[str, str]:
    """The pods of Airflow's parts that run, uid -> name: neither its Jobs' finished ones nor those that are going."""
    running = kubectl.items("pods", "--selector", "tier=airflow,component", "--field-selector", "status.phase=Running")
    ours = [pod["metadata"] for pod in running if "deletionTimestamp" not in pod["metadata"]]
    return {one["uid"]: one["name"] for one in ours}


@pytest.fixture
def timeline(kubectl: Kubectl, api: Airflow, store: counted.S3) -> Iterator[Timeline]:
    """The lives of the DAG's pods, while it is there."""
    with (
        staged(kubectl, api, {DAG.dag_id: DAG.text}),
        Timeline(kubectl, STEPS_NAMESPACE, DAG.selector) as found,
    ):
        yield found
    counted.forget(store, DAG)


def test_an_upgrade_and_a_rollback_lose_nothing_of_a_run_in_flight(
    kubectl: Kubectl, api: Airflow, store: counted.S3, timeline: Timeline
) -> None:
    before, old = setting(kubectl), airflows_pods(kubectl)
    revision = newest(kubectl)
    run_id = api.trigger(DAG.dag_id)
    timeline.until(
        lambda lives: any(one.note("run-id") == run_id and "running" in one.times for one in lives),
        seconds=STARTS_WITHIN,
        what="the first step to run",
    )
    found, _ = chart.find_airflow_chart()
    changed = ("--set-string", f"global.airflowSettings.{SETTING}={VALUE}")
    staged_chart = str(chart.stage(found))
    helm(
        kubectl, "upgrade", release.NAME, staged_chart, "--reset-then-reuse-values", *changed, "--wait", "--timeout=20m"
    )
    assert setting(kubectl) == VALUE
    stayed = airflows_pods(kubectl).keys() & old.keys()
    assert {old[uid] for uid in stayed} == set(), "all of Airflow was started anew"
    helm(kubectl, "rollback", release.NAME, revision, "--wait", "--timeout=20m")
    assert setting(kubectl) == before
    pods.wait_ready(kubectl, seconds=READY_SECONDS)
    counted.assert_success(api, DAG, run_id, seconds=ENDS_WITHIN)
    counted.assert_no_pod_lives(timeline, run_id)
    counted.assert_one_effect(store, DAG, run_id)
    counted.assert_complete_log(api, DAG, run_id)
    made = {task: len(counted.pods(timeline, run_id, task)) for task in (counted.FIRST, counted.SECOND)}
    tries = {task["task_id"]: task["try_number"] for task in api.tasks(DAG.dag_id, run_id)}
    assert made == tries == {counted.FIRST: 1, counted.SECOND: 1}, "a step ran again"


KINDS = (
    "deployments,statefulsets,daemonsets,jobs,cronjobs,pods,services,networkpolicies,serviceaccounts,roles,rolebindings"
)
KUBERNETES_OWN = {"ServiceAccount/default", "ConfigMap/kube-root-ca.crt"}


def left(kubectl: Kubectl, kinds: str) -> set[str]:
    """What is in the release's namespace and goes nowhere, as `Kind/name`."""
    found = kubectl.items(kinds)
    return {f"{one['kind']}/{one['metadata']['name']}" for one in found if "deletionTimestamp" not in one["metadata"]}


def promised(notes: str) -> set[str]:
    """The names that the chart's notes list as staying."""
    said = notes.partition("helm uninstall leaves")[2].partition("kubectl delete")[0]
    return {word.strip(".") for word in said.split() if "-" in word or word.strip(".") in {"ledger", "postgresql"}}


def test_uninstall_leaves_what_it_says_and_the_next_install_finds_it(kubectl: Kubectl, api: Airflow) -> None:
    known = {one["dag_run_id"] for one in api.runs("hello", limit=5)}
    assert known, "`make up` has run hello"
    names = promised(helm(kubectl, "get", "notes", release.NAME))
    helm(kubectl, "uninstall", release.NAME, "--wait", "--timeout=10m")
    runs.until(
        lambda: not kubectl.text("get", "namespace", STEPS_NAMESPACE, "--ignore-not-found"),
        seconds=GONE_SECONDS,
        what="the namespace of the steps to go",
        state=lambda: kubectl.text("get", "pods", "--namespace", STEPS_NAMESPACE),
    )
    runs.until(
        lambda: not left(kubectl, KINDS) - KUBERNETES_OWN,
        seconds=GONE_SECONDS,
        what="all but volumes and Secrets to go",
        state=lambda: str(left(kubectl, KINDS)),
    )
    stay = {name.partition("/")[2] for name in left(kubectl, "persistentvolumeclaims,secrets")}
    assert stay == names
    assert left(kubectl, "configmaps") <= KUBERNETES_OWN
    done = tidegate("up")
    assert done.returncode == 0, done.stderr
    with airflow(kubectl) as anew:
        assert known <= {one["dag_run_id"] for one in anew.runs("hello", limit=50)}
    assert kubectl.secret("ledger", namespace=NAMESPACE)["connection"]
