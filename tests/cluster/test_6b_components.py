"""Every part of the platform is killed once while steps run; it comes back, and no run is the worse for it.

All parts are killed within half a minute, under the same runs: together they take less than a kill a run would. One
more run is of petrol, whose training pod is deleted before all that.
`make soak` has the whole matrix, one kill at a time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.cluster import counted, kills, petrol
from tests.cluster.acts import KILLED as DAG
from tests.cluster.timeline import Timeline
from tidegate.cli.fault import Fault
from tidegate.cli.kubectl import STEPS_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.acts import Acts
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

RUNS = 3
HOUR = datetime(2021, 6, 15, 12, 0, 0, datetime.now(UTC).microsecond, tzinfo=UTC)
"""Of the run of petrol: no other test publishes to it, and no earlier pass has a run of this very date."""
STARTS_WITHIN = 120
ENDS_WITHIN = 400
PAUSE_SECONDS = 3.0
"""Between two kills: the parts are away at the same time, and not all at the same instant."""
ORDER = ("dag-processor", "api-server", "database", "triggerer", "kubelet", "scheduler")


@dataclass
class Aftermath:
    """What was killed, and the runs that were under way."""

    timeline: Timeline
    run_ids: list[str]
    petrol_id: str
    deleted: str = ""
    """The training pod that was deleted."""
    shots: dict[str, kills.Aim] = field(default_factory=dict)
    not_back: dict[str, str] = field(default_factory=dict)
    """Part -> why it is not running again."""


@pytest.fixture(scope="module")
def aftermath(api: Airflow, kubectl: Kubectl, store: counted.S3, acts: Acts) -> Iterator[Aftermath]:
    """Three runs in their first step, under which everything was killed; it has had time to come back."""
    acts.over.result()
    if not kills.reachable(kubectl):
        pytest.skip("optional: the processes of this cluster cannot be reached")
    with Timeline(kubectl, STEPS_NAMESPACE, DAG.selector) as timeline:
        found = Aftermath(
            timeline,
            [api.trigger(DAG.dag_id) for _ in range(RUNS)],
            api.trigger("petrol", conf=petrol.SLOW, logical_date=HOUR),
        )
        found.deleted = petrol.training(kubectl, found.petrol_id)
        kubectl.text("delete", "pod", found.deleted, "--namespace", STEPS_NAMESPACE, "--wait=false")
        timeline.until(
            lambda lives: sum("running" in one.times for one in lives) == RUNS,
            seconds=STARTS_WITHIN,
            what="the first steps to run",
        )
        for part in ORDER:
            found.shots[part] = kills.shoot(kubectl, part)
            time.sleep(PAUSE_SECONDS)
        for part, shot in found.shots.items():
            try:
                kills.wait_back(kubectl, shot)
            except Fault as fault:
                found.not_back[part] = str(fault)
        yield found
    counted.forget(store, DAG)


def test_every_part_is_among_them() -> None:
    assert sorted(ORDER) == sorted(kills.COMPONENTS)


@pytest.mark.parametrize("part", ORDER)
def test_what_was_killed_is_back(part: str, aftermath: Aftermath) -> None:
    assert part in aftermath.shots
    assert aftermath.not_back.get(part) is None


@pytest.mark.parametrize("number", range(RUNS))
def test_a_run_has_one_effect_a_whole_log_and_one_pod_a_step(
    number: int, aftermath: Aftermath, api: Airflow, store: counted.S3
) -> None:
    run_id = aftermath.run_ids[number]
    counted.assert_success(api, DAG, run_id, seconds=ENDS_WITHIN)
    counted.assert_no_pod_lives(aftermath.timeline, run_id)
    counted.assert_one_effect(store, DAG, run_id)
    counted.assert_complete_log(api, DAG, run_id)
    for task in (counted.FIRST, counted.SECOND):
        counted.assert_one_pod(counted.pods(aftermath.timeline, run_id, task))


def test_a_model_whose_training_pod_was_deleted_is_published(
    aftermath: Aftermath, api: Airflow, kubectl: Kubectl, store: petrol.S3
) -> None:
    petrol.finished(api, aftermath.petrol_id)
    found = petrol.published(store, HOUR)
    assert found.card["model"]["sha256"] == found.model_sha256
    assert found.card["parameters"]["n_estimators"] == petrol.SLOW["n_estimators"]
    names = [pod["metadata"]["name"] for pod in petrol.training_pods(kubectl, aftermath.petrol_id)]
    assert names
    assert aftermath.deleted not in names
    petrol.assert_no_pod_left_over(kubectl, aftermath.petrol_id)
