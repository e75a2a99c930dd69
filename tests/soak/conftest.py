"""The cluster that `make up` made, with the DAG whose runs are disturbed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import counted, kills
from tests.cluster.stage import quiet, staged
from tests.cluster.timeline import Timeline
from tests.steps.servers import plane, postgresql
from tidegate.cli import pods, state
from tidegate.cli.airflow_api import Airflow, airflow
from tidegate.cli.kubectl import NAMESPACE, STEPS_NAMESPACE, Kubectl
from tidegate.cli.objects import object_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["plane", "postgresql"]

READY_SECONDS = 600.0


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """The cluster; its node must be a container of this machine."""
    found = Kubectl(state.context())
    if not kills.reachable(found):
        pytest.exit("the kill matrix needs the kind cluster of this machine: run `make up` first", returncode=2)
    return found


@pytest.fixture(scope="session")
def api(kubectl: Kubectl) -> Iterator[Airflow]:
    """Its Airflow, with no other pipeline running."""
    with airflow(kubectl) as found, quiet(found):
        yield found


@pytest.fixture(scope="session")
def store(kubectl: Kubectl) -> Iterator[Any]:
    """Its object store: a boto3 client."""
    with object_store(kubectl) as found:
        yield found


@pytest.fixture(scope="session")
def dag(kubectl: Kubectl, api: Airflow, store: Any) -> Iterator[counted.Counted]:
    """A DAG of two steps; the first takes ten seconds."""
    found = counted.Counted("soak_kills", lines=50, seconds=10)
    with staged(kubectl, api, {found.dag_id: found.text}):
        yield found
    counted.forget(store, found)


@pytest.fixture(scope="session")
def timeline(kubectl: Kubectl, dag: counted.Counted) -> Iterator[Timeline]:
    """The lives of its pods."""
    with Timeline(kubectl, STEPS_NAMESPACE, dag.selector) as found:
        yield found


@pytest.fixture(scope="session")
def triggerers(kubectl: Kubectl) -> Iterator[Callable[[int], None]]:
    """Sees to it that there are so many triggerers, all ready; one in the end."""

    def scale(count: int) -> None:
        found = kubectl.items("statefulsets,deployments", "--selector", "component=triggerer")
        if not found and count > 1:
            pytest.skip("optional: Airflow runs in one pod, which has one triggerer")
        for one in found:
            if one["spec"]["replicas"] != count:
                what = f"{one['kind'].lower()}/{one['metadata']['name']}"
                kubectl.text("scale", what, "--namespace", NAMESPACE, f"--replicas={count}")
                kubectl.text("rollout", "status", what, "--namespace", NAMESPACE, "--timeout=400s", timeout=420)
        pods.wait_ready(kubectl, seconds=READY_SECONDS)

    yield scale
    scale(1)


@dataclass(frozen=True)
class Scene:
    """All that a kill needs."""

    kubectl: Kubectl
    api: Airflow
    store: counted.S3
    dag: counted.Counted
    timeline: Timeline
    triggerers: Callable[[int], None]


@pytest.fixture(scope="session")
def scene(request: pytest.FixtureRequest) -> Scene:
    """The above in one."""
    return Scene(**{field.name: request.getfixturevalue(field.name) for field in fields(Scene)})
