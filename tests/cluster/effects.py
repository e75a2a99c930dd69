"""Steps whose effect names the pod that had it, and the pods that tried: for work that is to be done once.

`ledger_race` has two steps one after the other, `ledger_force` one. Each waits a while, then writes its pod's name to
an object in a folder that all runs of one parameter set share; the store keeps every version, so an effect that came
twice would show.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from tests.cluster.counted import S3, versions_below
from tests.cluster.petrol import body

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tests.cluster.timeline import Life, Timeline

FILE = "ledger_race.py"
RACE, FORCE = "ledger_race", "ledger_force"
CALM, DISTURBED, SLOW = "calm", "disturbed", "slow"
RUNS = 20
"""Of one parameter set at once."""
PREFIX = "tests/ledger"
OBJECT = "by"
STARTS_WITHIN = 300

TEXT = f'''\
"""Steps whose effect names the pod that had it."""

from datetime import timedelta

from airflow.sdk import DAG, Param

from tidegate.airflow import step

SCRIPT = 'sleep "$PARAM_seconds"; cat /etc/hostname > "$OUTPUT_FOLDER/{OBJECT}"'
OPTIONS = {{
    "schedule": None,
    "max_active_runs": {RUNS + 2},
    "params": {{"set": Param("none", type="string")}},
    "default_args": {{"retries": 2, "retry_delay": timedelta(seconds=1)}},
}}


def work(task_id, seconds):
    parameters = {{"set": "{{{{ params.set }}}}", "seconds": seconds}}
    return step(
        "run_command",
        task_id=task_id,
        params={{"command": ["sh", "-ec", SCRIPT], "parameters": parameters}},
        output="{PREFIX}/{{{{ params.set }}}}/" + task_id,
    )


with DAG("{RACE}", **OPTIONS):
    work("{CALM}", 2) >> work("{DISTURBED}", 10)

with DAG("{FORCE}", **OPTIONS):
    work("{SLOW}", 40)
'''


def of(lives: Sequence[Life], task: str, run_ids: Collection[str]) -> list[Life]:
    """The pods of a task in these runs, in the order they were made."""
    mine = [one for one in lives if one.note("task-id") == task and one.note("run-id") in run_ids]
    return sorted(mine, key=lambda one: one.times["made"])


def next_running(timeline: Timeline, task: str, run_ids: Collection[str], *, after: int = 0) -> Life:
    """A task's pod once it runs; not one of the first `after`."""

    def found(lives: Sequence[Life]) -> list[Life]:
        return [one for one in of(lives, task, run_ids)[after:] if "running" in one.times]

    what = f"pod {after + 1} of {task} to run"
    timeline.until(lambda lives: bool(found(lives)), seconds=STARTS_WITHIN, what=what)
    return found(timeline.lives())[0]


def over(life: Life) -> float:
    """When nothing of a pod ran any more, as a time stamp; in an hour's time where it still does."""
    ends = [life.times[stage].timestamp() for stage in ("ended", "gone") if stage in life.times]
    return min(ends, default=life.times["made"].timestamp() + 3600)


def overlaps(lives: Sequence[Life]) -> list[str]:
    """The pods that were made before the one before them was over."""
    return [later.name for before, later in pairwise(lives) if later.times["made"].timestamp() < over(before)]


def assert_one_effect(store: S3, name: str, task: str, *, by: Life) -> None:
    """One pod has written the object of a parameter set's task, once."""
    folder = f"{PREFIX}/{name}/{task}/"
    assert versions_below(store, folder) == {OBJECT: 1}
    assert body(store, folder + OBJECT).decode().strip() == by.name
