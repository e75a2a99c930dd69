"""Two hundred steps of which ten may have a pod at once, with two triggerers of which one is killed in the middle.

`make soak CELLS=two_hundred`, or `pytest tests/soak/admission.py`; ten minutes. The order of arrival is tested without
a cluster (`tests/steps/test_admission.py`). Writes: the limit into the ConfigMap of steps and back, a DAG, its run.
Again: the same.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.bench import dags
from tests.bench.idle import PLATFORM_KEY, held
from tests.cluster import counted, kills
from tests.cluster.stage import DAG_LABEL, staged
from tests.cluster.timeline import Timeline
from tidegate.cli import runs
from tidegate.cli.kubectl import STEPS_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.idle import Config
    from tests.cluster.timeline import Life
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

DAG, STEPS, LIMIT, KILLED_AFTER = "soak_admission", 200, 10, 60
STARTS_WITHIN, ENDS_WITHIN = 600, 1800


def limited(config: Config) -> Config:
    """The same ConfigMap with the limit for our pipeline."""
    shared = json.loads(config[PLATFORM_KEY])
    return config | {PLATFORM_KEY: json.dumps(shared | {"limits": {"pipelines": {DAG: LIMIT}}})}


def living(lives: list[Life]) -> int:
    """The most pods that were made and had not ended, at any time: more than those that run."""
    return counted.most(
        (one.times["made"], one.times.get("ended") or one.times.get("gone")) for one in lives if "made" in one.times
    )


def test_two_hundred_steps_with_a_limit_of_ten_never_have_more_pods(
    kubectl: Kubectl, api: Airflow, triggerers: Callable[[int], None]
) -> None:
    triggerers(2)
    text = dags.fan(DAG, STEPS, seconds=1)
    with staged(kubectl, api, {DAG: text}), held(kubectl, limited):
        with Timeline(kubectl, STEPS_NAMESPACE, f"{DAG_LABEL}={DAG}") as timeline:
            run = runs.Run(DAG, api.trigger(DAG, conf={"force": True}))
            timeline.until(
                lambda lives: sum("ended" in one.times for one in lives) >= KILLED_AFTER,
                seconds=STARTS_WITHIN,
                what=f"{KILLED_AFTER} steps to end",
            )
            kills.shoot(kubectl, "triggerer")
            states = runs.wait(api, [run], seconds=ENDS_WITHIN)
            lives = timeline.lives()
        assert states == {run: "success"}
        assert living(lives) == LIMIT
        assert {one.note("map-index") for one in lives if one.succeeded} == {str(index) for index in range(STEPS)}
