"""Bare pods: the same pod that a step has, made with the Kubernetes client, and nothing else around it.

Reads: a pod that the operator made for the pipeline `hello`; the kubeconfig. Writes: pods with the label
`tidegate.dev/bench`.
Again: each batch has names and a label of its own, and removes its pods.
"""

from __future__ import annotations

import copy
import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kubernetes import client, config

from tests.bench import airflow_runs
from tests.cluster.stage import remove_pods
from tests.cluster.timeline import Timeline
from tidegate.cli.kubectl import STEPS_NAMESPACE, Kubectl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tidegate.cli.airflow_api import Airflow

LABEL = "tidegate.dev/bench"
MANAGED_BY = "app.kubernetes.io/managed-by"
"""Label by which the operator's watch and `tidegate reconcile` find their pods; a bare pod is none of them."""
AT_ONCE = 8
"""Requests that create pods side by side."""
PIPELINE = "hello"
"""The pipeline of one no-op step that every cluster has."""
RUN_SECONDS = 300.0
PARAMS = {"lines": 1}


@dataclass(frozen=True)
class Batch:
    """Some pods that were made at once: seconds from the first request to the end of the last, and how they ended."""

    seconds: float
    succeeded: int
    count: int
    start: datetime
    """Of the first request."""
    names: tuple[str, ...]
    """Of the pods, which are there until the block ends."""


def template(kubectl: Kubectl, airflow: Airflow) -> dict[str, Any]:
    """The pod that the operator makes for a no-op step, as the cluster has it; nameless, and none of the operator's."""
    with Timeline(kubectl, STEPS_NAMESPACE, f"tidegate.dev/dag={PIPELINE}") as timeline:
        run_id = airflow_runs.once(airflow, PIPELINE, seconds=RUN_SECONDS).run["dag_run_id"]
        made = next(life.pod for life in timeline.lives() if life.note("run-id") == run_id)
    return bare(made)


def bare(pod: Mapping[str, Any]) -> dict[str, Any]:
    """The same pod for another name and any node, with labels of ours and the parameters of a no-op step."""
    spec = copy.deepcopy(pod["spec"])
    spec.pop("nodeName", None)
    for one in spec["containers"][0]["env"]:
        if one["name"] == "TIDEGATE_PARAMS":
            one["value"] = json.dumps(PARAMS)
    labels = {MANAGED_BY: "bench", "tidegate.dev/step": pod["metadata"]["labels"]["tidegate.dev/step"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": STEPS_NAMESPACE, "labels": labels},
        "spec": spec,
    }


def connect(context: str) -> client.CoreV1Api:
    """A client of the cluster that `context` names; straight to it, past any proxy."""
    settings = client.Configuration()
    config.load_kube_config(context=context, client_configuration=settings)
    settings.proxy, settings.connection_pool_maxsize = None, AT_ONCE
    return client.CoreV1Api(client.ApiClient(settings))


@contextmanager
def batch(
    kubectl: Kubectl, api: client.CoreV1Api, pod: Mapping[str, Any], *, count: int, seconds: float
) -> Iterator[Batch]:
    """`count` pods, created at once, that have ended, at most `seconds` later; they are removed after the block."""
    mark = secrets.token_hex(4)
    selector = f"{LABEL}={mark}"
    try:
        with Timeline(kubectl, STEPS_NAMESPACE, selector) as timeline:
            start = datetime.now(UTC)
            _create(api, [_named(pod, mark, number) for number in range(count)])
            timeline.until(
                lambda lives: len(lives) == count and all("ended" in one.times for one in lives),
                seconds=seconds,
                what=f"{count} bare pods to end",
            )
            lives = timeline.lives()
        last = max(one.times["ended"] for one in lives)
        ended = sum(one.succeeded for one in lives)
        yield Batch((last - start).total_seconds(), ended, count, start, tuple(one.name for one in lives))
    finally:
        remove_pods(kubectl, selector)


def _create(api: client.CoreV1Api, pods: list[dict[str, Any]]) -> None:
    def create(pod: dict[str, Any]) -> None:
        api.create_namespaced_pod(STEPS_NAMESPACE, pod, _preload_content=False, _request_timeout=60)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(create, pods))


def _named(pod: Mapping[str, Any], mark: str, number: int) -> dict[str, Any]:
    made = copy.deepcopy(dict(pod))
    made["metadata"]["name"] = f"bench-{mark}-{number}"
    made["metadata"]["labels"][LABEL] = mark
    for one in made["spec"]["containers"][0]["env"]:
        if one["name"] == "TIDEGATE_OUTPUT":  # of its own, as a step has: what is there already is not written again
            one["value"] = f"{one['value']}/{mark}/{number}"
    return made
