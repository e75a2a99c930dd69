"""An Airflow of its own on loopback, on a real API server with a kubelet of processes: no cluster, no container.

It is no rung of `make test`: it takes three minutes, and `tests/cluster` sees the same pitfalls of trigger-run tasks
in the cluster, but for a triggerer that is frozen. All runs but the last start at once, since most of their time is
waiting; each test looks at its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.ledger.servers import new_database
from tests.local_airflow import LocalAirflow
from tests.soak.pipelines import DAGS, SCRIPTS
from tests.steps.kubelet import NAMESPACE
from tidegate.ledger.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.steps.control_plane import ControlPlane

SIDE_BY_SIDE = {
    "chain": ("chain", {"n": 7}),
    "maps": ("maps", {}),
    "worker_ends": ("worker_ends", {}),
    "failures": ("failures", {}),
    "marked": ("long", {}),
    "stopped": ("long", {"seconds": 301}),
    "cleared": ("long", {"seconds": 20}),
    "narrow": ("narrow", {}),
}
"""Run by name: its DAG and conf."""
LIMITS = {"pipelines": {"narrow": 2}}


@pytest.fixture(scope="module")
def airflow(plane: ControlPlane, postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    steps = {name: plane.script(name, code) for name, code in SCRIPTS.items()}
    plane.configure({"_platform": {"store_root": "file:///store", "limits": LIMITS}, **steps})
    database, ledger = (new_database(postgresql, name) for name in ("airflow", "ledger"))
    migrate(ledger)
    environment = {"KUBECONFIG": str(plane.kubeconfig), "TIDEGATE_STEPS_NAMESPACE": NAMESPACE}
    environment["AIRFLOW_CONN_ML_AIRFLOW"] = ledger
    local = LocalAirflow(tmp_path_factory.mktemp("airflow") / "home", database=database, environment=environment)
    (local.dags / "all.py").write_text(DAGS)
    with local:
        local.wait("the DAGs", lambda: len(local.query("SELECT 1 FROM dag")) >= DAGS.count("with DAG("))
        yield local


@pytest.fixture(scope="module")
def runs(airflow: LocalAirflow) -> dict[str, str]:
    """Ids of the runs that go on side by side."""
    return {name: airflow.trigger(dag_id, conf=conf) for name, (dag_id, conf) in SIDE_BY_SIDE.items()}


def pods_of(plane: ControlPlane, run_id: str) -> list[str]:
    """Every pod that was made for a run and still exists."""
    made = [pod["metadata"] for pod in plane.pods()]
    return [item["name"] for item in made if item["annotations"]["tidegate.dev/run-id"] == run_id]


def alive(plane: ControlPlane, run_id: str) -> list[str]:
    """Those whose process runs."""
    return sorted(set(pods_of(plane, run_id)) & set(plane.kubelet.alive()))


def test_clear_ends_the_old_pod_before_the_new_one_starts(
    airflow: LocalAirflow, plane: ControlPlane, runs: dict[str, str]
) -> None:
    run_id = runs["cleared"]
    airflow.wait("the pod", lambda: bool(alive(plane, run_id)))
    first = alive(plane, run_id)
    airflow.rest("POST", "dags/long/clearTaskInstances", {"dry_run": False, "dag_run_id": run_id, "only_failed": False})
    airflow.wait("the second pod", lambda: bool(set(alive(plane, run_id)) - set(first)))
    assert len(alive(plane, run_id)) == 1, "both tries ran at once"


@pytest.mark.parametrize(
    ("name", "how"),
    [("marked", ("/taskInstances/sleep", {"new_state": "failed"})), ("stopped", ("", {"state": "failed"}))],
    ids=["the task is marked failed", "the run is"],
)
def test_a_person_ends_the_pod(
    airflow: LocalAirflow, plane: ControlPlane, runs: dict[str, str], name: str, how: tuple[str, Any]
) -> None:
    run_id, (path, body) = runs[name], how
    airflow.wait("the pod", lambda: bool(alive(plane, run_id)))
    airflow.rest("PATCH", f"dags/long/dagRuns/{run_id}{path}", body)
    airflow.wait("the pod's end", lambda: not alive(plane, run_id), seconds=60)


def test_values_are_json_and_no_worker_is_used(airflow: LocalAirflow, runs: dict[str, str]) -> None:
    run_id = runs["chain"]
    assert airflow.finish(run_id) == "success"
    tasks = airflow.tasks(run_id)
    assert [tasks[name, -1]["hostname"] for name in ("train", "upload")] == ["", ""], "a worker took part"
    value = airflow.xcom(run_id, "train")
    assert value["params"] == {"n": 7}, "the value is no JSON object, or the parameter lost its type"
    url = f"file:///store/runs/chain/{run_id}/train/model"
    assert airflow.xcom(run_id, "upload")["inputs"] == {"model": url}
    assert airflow.xcom(run_id, "reader") == [0.5, url]
    log = airflow.task_log("chain", run_id, "train")
    assert "line of train -1" in log
    assert "started by the triggerer" in log
    assert "params {'n': 7}" in log, "the rendered step is nowhere to be seen: Airflow's own tab for it stays empty"


def test_mapped_steps_start_in_the_triggerer_and_pick_their_own_values(
    airflow: LocalAirflow, runs: dict[str, str]
) -> None:
    run_id = runs["maps"]
    assert airflow.finish(run_id) == "success", airflow.tasks(run_id)
    tasks = airflow.tasks(run_id)
    assert {row["hostname"] for key, row in tasks.items() if key[0] != "plain"} == {""}
    params = [airflow.xcom(run_id, "over_output", map_index=index)["params"] for index in range(3)]
    assert params == [{"n": 1}, {"n": 2}, {"n": 3}]
    product = [airflow.xcom(run_id, "product", map_index=index) for index in range(4)]
    assert [item["params"]["a"] for item in product] == [1, 1, 2, 2]
    assert [item["outputs"][0]["url"] for item in product][:2] == [
        "file:///store/out/0/x/model",
        "file:///store/out/y/model",
    ]
    assert airflow.xcom(run_id, "rows", map_index=1)["params"] == {"k": 2}
    assert [airflow.xcom(run_id, "plain", map_index=index) for index in range(3)] == [10, 20, 30]
    assert [airflow.xcom(run_id, "each.first", map_index=index)["params"]["x"] for index in (0, 1)] == [10, 20]
    second = airflow.xcom(run_id, "each.second", map_index=1)["params"]["before"]
    assert second == f"file:///store/runs/maps/{run_id}/each.first/1/model"
    assert [item["params"]["n"] for item in airflow.xcom(run_id, "gathered")["params"]["all"]] == [1, 2, 3]


def test_outlets_and_success_callbacks_work_by_finishing_on_a_worker(
    airflow: LocalAirflow, runs: dict[str, str]
) -> None:
    run_id = runs["worker_ends"]
    assert airflow.finish(run_id) == "success"
    tasks = airflow.tasks(run_id)
    assert all(tasks[name, -1]["hostname"] for name in ("with_outlet", "with_callback", "on_worker"))
    assert airflow.xcom(run_id, "with_outlet")["summary"] == "done"
    assert airflow.xcom(run_id, "on_worker")["params"] == {"n": 2}
    airflow.wait("the asset's consumer", lambda: bool(airflow.query("SELECT 1 FROM dag_run WHERE dag_id='consumer'")))
    airflow.wait("the callback", lambda: bool(airflow.query("SELECT 1 FROM variable WHERE key='success_callback'")))


def test_failures_are_retried_or_not_as_their_class_says(airflow: LocalAirflow, runs: dict[str, str]) -> None:
    run_id = runs["failures"]
    assert airflow.finish(run_id) == "failed"
    tasks = airflow.tasks(run_id)
    assert (tasks["flaky", -1]["state"], tasks["flaky", -1]["try_number"]) == ("success", 2)
    assert airflow.xcom(run_id, "flaky", "failure") is None, "the reason of a try that failed outlived the success"
    assert airflow.xcom(run_id, "refuse", "failure")["kind"] == "bad_input"
    assert (tasks["refuse", -1]["state"], tasks["refuse", -1]["try_number"]) == ("failed", 1), "bad input was retried"
    assert tasks["refuse", -1]["hostname"], "only a worker can end a task for good"
    assert (tasks["refuse_once", -1]["state"], tasks["refuse_once", -1]["hostname"]) == ("failed", "")
    assert "column Petrol_tax is missing" in airflow.task_log("failures", run_id, "refuse")


def test_a_failure_callback_is_told_of_a_task_that_ended_without_a_worker(
    airflow: LocalAirflow, runs: dict[str, str]
) -> None:
    found = lambda: airflow.query("SELECT val FROM variable WHERE key='told'")  # noqa: E731
    airflow.wait("the callback", lambda: bool(found()))
    said = found()[0]["val"]
    assert runs["failures"] in said
    assert "bad_input" in said, "the reason of the failure did not reach the callback"


def test_a_pipelines_limit_holds_where_airflows_pools_do_not(
    airflow: LocalAirflow, plane: ControlPlane, runs: dict[str, str]
) -> None:
    assert airflow.finish(runs["narrow"]) == "success"
    assert plane.kubelet.most["narrow"] == 2
    assert plane.kubelet.most["maps"] > 2, "the others are not limited"


def test_the_cleared_step_ran_twice_and_once_to_its_end(airflow: LocalAirflow, runs: dict[str, str]) -> None:
    assert airflow.finish(runs["cleared"]) == "success"
    assert airflow.tasks(runs["cleared"])["sleep", -1]["try_number"] == 2


def test_a_frozen_and_a_killed_triggerer_neither_end_nor_double_the_pod(
    airflow: LocalAirflow, plane: ControlPlane, tmp_path: Path
) -> None:
    """The frozen one wakes, learns that its triggers are gone and is told to kill, though the task lives elsewhere."""
    over = tmp_path / "over"
    run_id = airflow.trigger("long", conf={"until": str(over)})
    log = lambda: airflow.task_log("long", run_id, "sleep")  # noqa: E731
    airflow.wait("the pod", lambda: bool(alive(plane, run_id)))
    before = alive(plane, run_id)
    airflow.freeze("triggerer-1")
    airflow.start("triggerer", number=2)
    airflow.wait("the other triggerer to attach", lambda: "found pod" in log(), seconds=90)
    airflow.freeze("triggerer-1", thaw=True)
    airflow.wait("the old one to be told to kill", lambda: "invoking on_kill" in log(), seconds=60)
    airflow.wait("it to ask first", lambda: "its pod is left to whoever runs it now" in log(), seconds=60)
    airflow.kill("triggerer-2")
    airflow.wait("the old one to take it up again", lambda: log().count("found pod") > 1, seconds=60)
    over.touch()
    assert airflow.finish(run_id) == "success"
    assert pods_of(plane, run_id) == before, "the pod was doubled or replaced"
    assert airflow.tasks(run_id)["sleep", -1]["try_number"] == 1
    assert "begun" in log()
