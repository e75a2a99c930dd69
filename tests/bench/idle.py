"""What the triggerer uses while many steps wait in it: CPU as a share of one core, and memory.

Two ways to wait: for admission (the pipeline's limit is 1, so that one step has a pod and all others have none), and
for a node (their pods exist and want a node that there is not). Both are set in the ConfigMap `tidegate-steps`, which
a step reads when it starts, and set back afterwards.
"""

from __future__ import annotations

import copy
import json
import time
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tests.bench import airflow_runs, dags, figures, triggerer
from tests.cluster.stage import DAG_LABEL, end_runs, remove_pods, staged
from tidegate.cli import runs
from tidegate.cli.kubectl import STEPS_NAMESPACE
from tidegate.progress import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.bench.setting import Setting
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

NOTHING, ADMISSION, NODE = "none", "for admission", "for a node"
CONFIG_MAP, PLATFORM_KEY, STEP = "tidegate-steps", "_platform", "hello"
GOAL = 0.1
"""Of a core, with all of them waiting."""
WAITING_SECONDS = 600.0
SETTLE_SECONDS = 30.0
"""After the last one began to wait: what starting them cost is not waiting."""
STEP_SECONDS = 1800
"""How long the one step takes that is let in."""

Config = dict[str, str]


def for_admission(config: Config) -> Config:
    """The same ConfigMap with a limit of one step for the benchmark's pipeline."""
    shared = json.loads(config[PLATFORM_KEY])
    limits = shared.get("limits") or {}
    limits = {**limits, "pipelines": {**(limits.get("pipelines") or {}), dags.IDLE: 1}}
    return config | {PLATFORM_KEY: json.dumps(shared | {"limits": limits})}


def for_a_node(config: Config) -> Config:
    """The same ConfigMap with a node for the step that no cluster has."""
    return config | {STEP: json.dumps(json.loads(config[STEP]) | {"node_selector": {"tidegate.dev/bench": "nowhere"}})}


HOLDS: dict[str, Callable[[Config], Config]] = {ADMISSION: for_admission, NODE: for_a_node}


def measure(at: Setting) -> dict[str, Any]:
    """Way to wait -> how many did, in which state, and what the triggerer used; first with none waiting."""
    found: dict[str, Any] = {}
    files = {dags.IDLE: dags.fan(dags.IDLE, at.wish.waiting, seconds=STEP_SECONDS)}
    with staged(at.kubectl, at.airflow, files):
        time.sleep(SETTLE_SECONDS)
        found[NOTHING] = {"states": {}, "use": asdict(triggerer.measure(at.kubectl, seconds=at.wish.idle_seconds))}
        for way, hold in HOLDS.items():
            with held(at.kubectl, hold):
                found[way] = _waiting(at)
            console.print(f"  waiting {way}: {found[way]}", markup=False)
    return found


def _waiting(at: Setting) -> dict[str, Any]:
    run_id = at.airflow.trigger(dags.IDLE, conf={"force": True})
    try:
        wait_settled(at.airflow, run_id)
        time.sleep(SETTLE_SECONDS)
        use = triggerer.measure(at.kubectl, seconds=at.wish.idle_seconds)
        return {"states": airflow_runs.counts(at.airflow, dags.IDLE, run_id), "use": asdict(use)}
    finally:
        end_runs(at.airflow, dags.IDLE)
        remove_pods(at.kubectl, f"{DAG_LABEL}={dags.IDLE}")


def wait_settled(api: Airflow, run_id: str) -> None:
    """Return once every step is deferred and no more of them are taken up by the triggerer."""
    seen: list[dict[str, int]] = [{}]

    def settled() -> bool:
        seen.append(airflow_runs.counts(api, dags.IDLE, run_id))
        now, before = seen[-1], seen[-2]
        return now == before and set(now) <= {"deferred", "in the triggerer"} and "in the triggerer" in now

    runs.until(settled, seconds=WAITING_SECONDS, what="the steps to wait", state=lambda: str(seen[-1]), every=10)


@contextmanager
def held(kubectl: Kubectl, change: Callable[[Config], Config]) -> Iterator[None]:
    """The ConfigMap of steps changed while the block runs."""
    before = kubectl.read("configmap", CONFIG_MAP, namespace=STEPS_NAMESPACE)["data"]
    patch(kubectl, change(copy.deepcopy(before)))
    try:
        yield
    finally:
        patch(kubectl, before)


def patch(kubectl: Kubectl, data: Config) -> None:
    """Set keys of the ConfigMap of steps."""
    where = ("--namespace", STEPS_NAMESPACE, "--type", "merge")
    kubectl.text("patch", "configmap", CONFIG_MAP, *where, "--patch", json.dumps({"data": data}))


def show(found: dict[str, Any]) -> str:
    """The section of the report."""
    rows = []
    for way, one in found.items():
        use, states = one["use"], one["states"]
        memory = [f"{use[key]:.0f}" for key in ("resident", "proportional", "largest")]
        waiting = ", ".join(f"{count} {state}" for state, count in states.items()) or "0"
        rows.append([way, waiting, f"{100 * use['cpu']:.1f} %", *memory])
    headings = ["waiting", "steps", "CPU of one core", "resident, MiB", "proportional, MiB", "largest process, MiB"]
    met = {way: one["use"]["cpu"] < GOAL for way, one in found.items() if way != NOTHING}
    verdict = ", ".join(f"{way}: {'met' if yes else 'not met'}" for way, yes in met.items())
    return "\n\n".join(
        [
            "All processes of one triggerer. `resident` counts a page once for each process that has it.",
            figures.table(headings, rows),
            f"Goal: less than {GOAL:.0%} of a core. {verdict}.",
        ]
    )
