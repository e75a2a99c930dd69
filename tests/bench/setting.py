"""What every benchmark is given: the cluster, its Airflow, a Kubernetes client, and how much to measure."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.bench import bare
from tests.cluster.stage import quiet
from tidegate.cli.airflow_api import Airflow, airflow
from tidegate.cli.kubectl import Kubectl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubernetes.client import CoreV1Api


@dataclass(frozen=True)
class Wish:
    """How much to measure; the defaults take about an hour on two cores."""

    rounds: int = 5
    """Of each way to run one step."""
    fan_rounds: int = 3
    """Of each number of steps at once."""
    sizes: tuple[int, ...] = (30, 200)
    """How many steps at once."""
    waiting: int = 500
    """How many steps wait while the triggerer is looked at."""
    idle_seconds: float = 60.0
    """How long it is looked at."""
    hits: int = 10
    """Runs in which nothing has changed."""
    edit_rounds: int = 5
    """Of each way to build an image, and to bring an edit to a pod."""


@dataclass(frozen=True)
class Setting:
    """Handles on a running cluster."""

    kubectl: Kubectl
    airflow: Airflow
    pods: CoreV1Api
    pod: dict[str, Any]
    """What a bare pod is made from."""
    wish: Wish


@contextmanager
def setting(context: str, wish: Wish) -> Iterator[Setting]:
    """Handles on the cluster that `context` names, with no other pipeline running while the block does."""
    kubectl = Kubectl(context)
    with airflow(kubectl) as api, quiet(api, but=[bare.PIPELINE]):
        yield Setting(kubectl, api, bare.connect(context), bare.template(kubectl, api), wish)
