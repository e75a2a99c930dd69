"""What only a real scheduler and triggerer prove: each test is a pitfall of trigger-run tasks that must not be met."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.steps.airflow_server import LocalAirflow, Postgres, postgres_programs
from tests.steps.control_plane import NAMESPACE, ControlPlane, program

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    not (program("kube-apiserver") and postgres_programs()),
    reason="needs kube-apiserver and PostgreSQL on this machine",
)

REPORT = """
import json, os, sys
run, params = json.loads(os.environ["TIDEGATE_RUN"]), json.loads(os.environ["TIDEGATE_PARAMS"])
def finish(**more):
    base = {"outputs": [{"name": "model", "url": os.environ["TIDEGATE_OUTPUT"] + "/model"}], "metrics": {"r2": 0.5},
            "summary": "done", "params": params, "inputs": json.loads(os.environ["TIDEGATE_INPUTS"]), "run": run}
    open(os.environ["TIDEGATE_RESULT"], "w").write(json.dumps({**base, **more}))
"""
SCRIPTS = {
    "report": f"{REPORT}\nprint('line of', run['task_id'], run['map_index'])\nfinish()",
    "split": f"{REPORT}\nfinish(value=[{{'n': 1}}, {{'n': 2}}, {{'n': 3}}])",
    "flaky": f"{REPORT}\nif run['try_number'] == 1: sys.exit('first try fails')\nfinish()",
    "refuse": f"{REPORT}\nsys.exit(print('column Petrol_tax is missing') or 2)",
    "sleep": f"{REPORT}\nimport time\nprint('begun', flush=True)\ntime.sleep(params.get('seconds', 120))\nfinish()",
}

DAGS = """
from datetime import timedelta
from airflow.sdk import DAG, Asset, task, task_group
from tidegate.airflow.steps import step

with DAG("chain", schedule=None, params={"n": 3}):
    train = step("report", task_id="train", params={"n": "{{ params.n }}"}, inputs={"data": "data/x.csv"})
    upload = step("report", task_id="upload", inputs={"model": train.output["model"]})

    @task
    def reader(result, ti=None):
        return [result["metrics"]["r2"], ti.xcom_pull(task_ids="train", key="model")]

    reader(train.output)

with DAG("maps", schedule=None):
    split = step("split")
    over_output = step.partial("report", task_id="over_output", inputs={"data": "d.csv"}).expand(params=split.output)
    product = step.partial("report", task_id="product").expand(
        params=[{"a": 1}, {"a": 2}], output=["out/{{ ti.map_index }}/x", "out/y"]
    )
    rows = step.partial("report", task_id="rows").expand_kwargs(
        [{"params": {"k": 1}}, {"params": {"k": 2}, "output": "o"}]
    )
    gathered = step("report", task_id="gathered", inputs={}, params={"all": over_output.output})

    @task_group
    def each(x):
        first = step("report", task_id="first", params={"x": x})
        step("report", task_id="second", params={"before": first.output["model"]})

    each.expand(x=[10, 20])

    @task
    def plain(item):
        return item["n"] * 10

    plain.expand(item=split.output)

def called(context):
    from airflow.sdk import Variable
    Variable.set("success_callback", context["ti"].task_id)

with DAG("worker_ends", schedule=None):
    step("report", task_id="with_outlet", outlets=[Asset("s3://bucket/model")])
    step("report", task_id="with_callback", on_success_callback=called)
    step("report", task_id="on_worker", worker=True, params={"n": "{{ 1 + 1 }}"})

with DAG("consumer", schedule=[Asset("s3://bucket/model")], is_paused_upon_creation=False):
    step("report", task_id="consume")

with DAG("failures", schedule=None):
    step("flaky", retries=1, retry_delay=timedelta(seconds=1))
    step("refuse", retries=3, retry_delay=timedelta(seconds=1))
    step("refuse", task_id="refuse_once")

with DAG("long", schedule=None):
    seconds = "{{ dag_run.conf.get('seconds', 120) }}"
    step("sleep", retries=1, retry_delay=timedelta(seconds=1), params={"seconds": seconds})
"""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("plane")) as plane:
        steps = {name: plane.script(name, code) for name, code in SCRIPTS.items()}
        plane.configure({"_platform": {"store_root": "file:///store"}, **steps})
        yield plane


@pytest.fixture(scope="module")
def airflow(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    folder = tmp_path_factory.mktemp("airflow")
    environment = {"KUBECONFIG": str(plane.kubeconfig), "TIDEGATE_STEPS_NAMESPACE": NAMESPACE}
    with Postgres(folder / "postgres") as postgres:
        local = LocalAirflow(folder / "home", postgres=postgres, environment=environment)
        (local.dags / "all.py").write_text(DAGS)
        with local:
            local.wait("the DAGs", lambda: len(local.query("SELECT 1 FROM dag")) >= 6)
            yield local


def test_values_are_json_and_no_worker_is_used(airflow: LocalAirflow) -> None:
    run_id = airflow.trigger("chain", conf={"n": 7})
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


def test_mapped_steps_start_in_the_triggerer_and_pick_their_own_values(airflow: LocalAirflow) -> None:
    run_id = airflow.trigger("maps")
    assert airflow.finish(run_id, seconds=400) == "success", airflow.tasks(run_id)
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


def test_outlets_and_success_callbacks_work_by_finishing_on_a_worker(airflow: LocalAirflow) -> None:
    run_id = airflow.trigger("worker_ends")
    assert airflow.finish(run_id) == "success"
    tasks = airflow.tasks(run_id)
    assert all(tasks[name, -1]["hostname"] for name in ("with_outlet", "with_callback", "on_worker"))
    assert airflow.xcom(run_id, "with_outlet")["summary"] == "done"
    assert airflow.xcom(run_id, "on_worker")["params"] == {"n": 2}
    airflow.wait("the asset's consumer", lambda: bool(airflow.query("SELECT 1 FROM dag_run WHERE dag_id='consumer'")))
    airflow.wait("the callback", lambda: bool(airflow.query("SELECT 1 FROM variable WHERE key='success_callback'")))


def test_failures_are_retried_or_not_as_their_class_says(airflow: LocalAirflow) -> None:
    run_id = airflow.trigger("failures")
    assert airflow.finish(run_id) == "failed"
    tasks = airflow.tasks(run_id)
    assert (tasks["flaky", -1]["state"], tasks["flaky", -1]["try_number"]) == ("success", 2)
    assert (tasks["refuse", -1]["state"], tasks["refuse", -1]["try_number"]) == ("failed", 1), "bad input was retried"
    assert tasks["refuse", -1]["hostname"], "only a worker can end a task for good"
    assert (tasks["refuse_once", -1]["state"], tasks["refuse_once", -1]["hostname"]) == ("failed", "")
    assert "column Petrol_tax is missing" in airflow.task_log("failures", run_id, "refuse")


def test_mark_failed_ends_the_pod(airflow: LocalAirflow, plane: ControlPlane) -> None:
    run_id = airflow.trigger("long")
    airflow.wait("the pod", lambda: bool(plane.kubelet.alive()))
    airflow.rest("PATCH", f"dags/long/dagRuns/{run_id}/taskInstances/sleep", {"new_state": "failed"})
    airflow.wait("the pod's end", lambda: not plane.kubelet.alive(), seconds=20)


def test_clear_ends_the_old_pod_before_the_new_one_starts(airflow: LocalAirflow, plane: ControlPlane) -> None:
    run_id = airflow.trigger("long", conf={"seconds": 20})
    airflow.wait("the pod", lambda: bool(plane.kubelet.alive()))
    first = plane.kubelet.alive()
    airflow.rest("POST", "dags/long/clearTaskInstances", {"dry_run": False, "dag_run_id": run_id, "only_failed": False})
    airflow.wait("the second pod", lambda: bool(set(plane.kubelet.alive()) - set(first)))
    assert len(plane.kubelet.alive()) == 1, "both tries ran at once"
    assert airflow.finish(run_id) == "success"
    assert airflow.tasks(run_id)["sleep", -1]["try_number"] == 2


def test_killed_triggerer_leaves_the_pod_and_its_successor_takes_it_up(
    airflow: LocalAirflow, plane: ControlPlane
) -> None:
    run_id = airflow.trigger("long", conf={"seconds": 25})
    airflow.wait("the pod", lambda: bool(plane.kubelet.alive()))
    before = plane.kubelet.alive()
    airflow.kill("triggerer-1")
    airflow.start("triggerer")
    assert airflow.finish(run_id) == "success"
    names = [
        pod["metadata"]["name"]
        for pod in plane.pods()
        if pod["metadata"]["annotations"]["tidegate.dev/run-id"] == run_id
    ]
    assert names == before, "the pod was doubled or replaced"
    assert json.dumps(airflow.task_log("long", run_id, "sleep")).count("begun") >= 1


def test_frozen_triggerer_does_not_end_the_pod_that_another_one_follows(
    airflow: LocalAirflow, plane: ControlPlane
) -> None:
    """It wakes, learns that its triggers are gone and calls on_kill, though the task is alive elsewhere."""
    airflow.stop_all("triggerer")
    airflow.start("triggerer", number=8)
    run_id = airflow.trigger("long", conf={"seconds": 60})
    airflow.wait("the pod", lambda: bool(plane.kubelet.alive()))
    before = plane.kubelet.alive()
    airflow.freeze("triggerer-8")
    airflow.start("triggerer", number=9)
    log = lambda: airflow.task_log("long", run_id, "sleep")  # noqa: E731
    airflow.wait("the other triggerer to attach", lambda: "found pod" in log(), seconds=60)
    airflow.freeze("triggerer-8", thaw=True)
    airflow.wait("the old one to be told to kill", lambda: "invoking on_kill" in log(), seconds=60)
    assert airflow.finish(run_id) == "success"
    assert "its pod is left to whoever runs it now" in log()
    made = [pod["metadata"] for pod in plane.pods()]
    assert [item["name"] for item in made if item["annotations"]["tidegate.dev/run-id"] == run_id] == before
