"""What `status` asks the cluster: pods, Airflow's own health, and what the platform sees of ledger, stores and files.

Reads: the context's API, Airflow's by a port-forward, and the triggerer's and the DAG processor's containers, where
`tidegate.airflow.health` runs: only there can all of it be reached, whatever context it is. Writes: nothing.
What cannot be asked becomes a fault in the answer: this is called when something is broken.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tidegate.cli import airflow_api, release, state
from tidegate.cli.kubectl import NAMESPACE, STEPS_NAMESPACE
from tidegate.cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegate.cli.kubectl import Kubectl

Told = dict[str, Any]

CONFIG_MAP, PLATFORM = "tidegate-steps", "_platform"
IN = {"ledger": "triggerer", "dags": "dag-processor"}
"""What is asked -> in which of Airflow's containers; in standalone mode one pod has them all."""
PROBE_SECONDS = 60
"""For a probe on a busy node; it gives up on a store after 20."""
PATIENCE = 15.0
"""Seconds for Airflow's API: it is looked at, not waited for."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What was answered; a part that could not be asked has a text in `fault`."""

    context: str
    release: Told
    pods: list[Told]
    workloads: list[Told] = field(default_factory=list)
    """Deployments and StatefulSets."""
    airflow: Told = field(default_factory=dict)
    """`health` as Airflow tells it, `runs`: DAG id, state and run id of its newest run, `import_errors`."""
    ledger: Told = field(default_factory=dict)
    dags: Told = field(default_factory=dict)


def answers(kubectl: Kubectl) -> Answers:
    """Ask all of it, side by side. Raises `ClusterError` where the cluster itself does not answer."""
    pods = kubectl.items("pods")
    with ThreadPoolExecutor(5) as threads:
        revision = threads.submit(_or_fault, lambda: {**release.status(kubectl), "by": state.airflow_by()})
        airflow = threads.submit(_or_fault, lambda: _airflow(kubectl))
        ledger = threads.submit(_or_fault, lambda: _probe(kubectl, pods, "ledger", *_stores(kubectl)))
        dags = threads.submit(_or_fault, lambda: _probe(kubectl, pods, "dags"))
        workloads = threads.submit(_or_fault, lambda: {"items": kubectl.items("deployments,statefulsets")})
        return Answers(
            context=kubectl.context,
            release=revision.result(),
            pods=pods,
            workloads=workloads.result().get("items", []),
            airflow=airflow.result(),
            ledger=ledger.result(),
            dags=dags.result(),
        )


def _or_fault(ask: Callable[[], Told]) -> Told:
    try:
        return ask()
    except ClusterError as error:
        return {"fault": str(error)}


def _airflow(kubectl: Kubectl) -> Told:
    with airflow_api.airflow(kubectl, patience=PATIENCE) as api:
        health = api.call("GET", "monitor/health").json()
        dag_ids = api.dag_ids()
        newest = {dag_id: next(iter(api.runs(dag_id, limit=1)), None) for dag_id in dag_ids}
        return {"health": health, "runs": [_run(*one) for one in newest.items()], "import_errors": _faulty(api)}


def _run(dag_id: str, run: Told | None) -> Told:
    return {"dag": dag_id, "state": run["state"] if run else None, "run": run["dag_run_id"] if run else None}


def _faulty(api: airflow_api.Airflow) -> list[str]:
    return sorted(str(one["filename"]) for one in api.import_errors())


def _stores(kubectl: Kubectl) -> list[str]:
    """Arguments that name the stores, as the chart tells them to Airflow."""
    data = kubectl.read("configmap", CONFIG_MAP, namespace=STEPS_NAMESPACE)["data"]
    platform = json.loads(data.get(PLATFORM, "{}"))
    urls = [platform.get("store_root", ""), *platform.get("stores", {}).values()]
    return [word for url in urls if url for word in ("--store", url)]


def _probe(kubectl: Kubectl, pods: list[Told], what: str, *arguments: str) -> Told:
    component = IN[what]
    name = _running(pods, component)
    if not name:
        return {"fault": f"no {component} runs"}
    where = ["exec", name, "--namespace", NAMESPACE, "--container", component, "--"]
    command = ["python", "-m", "tidegate.airflow.health", what, *arguments]
    return told(kubectl.text(*where, *command, timeout=PROBE_SECONDS))


def _running(pods: list[Told], component: str) -> str:
    """A pod that runs and has this part of Airflow; "" where there is none."""
    for pod in pods:
        labels = pod["metadata"].get("labels", {})
        fits = labels.get("tier") == "airflow" and labels.get("component") in (component, "standalone")
        if fits and pod["status"].get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp"):
            return str(pod["metadata"]["name"])
    return ""


def told(said: str) -> Told:
    """What the probe printed, below whatever else was."""
    for line in reversed(said.splitlines()):
        if line.startswith("HEALTH "):
            found: Told = json.loads(line.removeprefix("HEALTH "))
            return found
    return {"fault": f"it told nothing: {said.strip()[-300:]}"}
