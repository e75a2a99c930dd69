"""The DAG files: they parse, the same way every time, and every pod they lead to is let in."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

from tests.dags.conftest import ROOT, bag, entry
from tests.helm.restricted import violations
from tidegate.airflow.identity import Identity
from tidegate.airflow.notify import Notify
from tidegate.airflow.order import make_order
from tidegate.airflow.paths import Path
from tidegate.airflow.step_operator import StepOperator

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.sdk import DAG


def test_every_file_can_be_read(parsed: BundleDagBag) -> None:
    assert parsed.import_errors == {}


def test_one_file_for_each_pipeline_named_like_it(dags: dict[str, DAG]) -> None:
    files = [path for pattern in ("*.py", "*/*.py") for path in (ROOT / "dags").glob(pattern)]
    assert sorted(dags) == sorted(path.stem for path in files)


def test_every_pipeline_explains_itself_and_bounds_its_runs(dags: dict[str, DAG]) -> None:
    for dag in dags.values():
        assert (dag.doc_md or "").strip(), dag.dag_id
        assert dag.max_active_runs < 16, f"{dag.dag_id} takes Airflow's default"
        assert not dag.catchup, dag.dag_id
        for task in dag.tasks:
            assert isinstance(task.on_failure_callback[0], Notify), task


def test_petrol_is_what_was_asked_for(dags: dict[str, DAG]) -> None:
    petrol = dags["petrol"]
    assert petrol.timetable.expression == "0 * * * *"
    assert petrol.max_active_runs == 1
    assert {(task.retries, task.retry_delay) for task in petrol.tasks} == {(2, timedelta(seconds=30))}
    assert petrol.task_dict["train_model"].downstream_task_ids == {"upload_model"}
    assert set(petrol.params) == {"data", "target", "n_estimators", "test_size", "random_state"}


@pytest.mark.parametrize(
    ("name", "bad"),
    [("n_estimators", 0), ("n_estimators", "many"), ("test_size", 0), ("test_size", 1), ("target", ""), ("data", "")],
)
def test_a_form_refuses_what_the_step_would_refuse(dags: dict[str, DAG], name: str, bad: object) -> None:
    with pytest.raises(ParamValidationError):
        dags["petrol"].params.get_param(name).resolve(bad)


def test_every_pod_of_every_pipeline_is_let_in(dags: dict[str, DAG]) -> None:
    walked = []
    for dag in dags.values():
        for task in dag.tasks:
            if isinstance(task, EmptyOperator):
                continue
            assert isinstance(task, StepOperator), f"{task}: step() is the one way to run something"
            run = Identity(dag_id=dag.dag_id, run_id="r", task_id=task.task_id, try_number=1, logical_date="x")
            config = {"_platform": json.dumps({"store_root": "s3://tidegate"}), task.step: entry(task.step)}
            inputs = dict.fromkeys(task.inputs, "s3://tidegate/x")
            fields = {"params": {}, "inputs": inputs, "output": task.output_url}
            order = make_order(config, run, step=task.step, namespace="tidegate-steps", **fields)
            assert violations(order.pod(0)) == []
            assert violations(order.pod(1, memory="1Gi")) == []
            walked.append(task.task_id)
    assert {"hello", "train_model", "upload_model"} <= set(walked)


def test_no_step_of_ours_needs_a_worker(dags: dict[str, DAG]) -> None:
    steps = [task for dag in dags.values() for task in dag.tasks if isinstance(task, StepOperator)]
    assert {task.dag_id for task in steps} == set(dags)
    assert [(task, task.path_reason) for task in steps if task.path is not Path.WORKERLESS] == []


def test_a_dag_file_imports_neither_trigger_nor_ledger_nor_store(another: dict[str, str]) -> None:
    """They cost every parse; the triggerer imports them once."""
    loaded = another["MODULES"].split()
    assert "tidegate.airflow.step_operator" in loaded
    heavy = ("tidegate.airflow.trigger", "tidegate.airflow.kube", "tidegate.ledger", "tidegate.step", "alembic")
    assert [name for name in heavy if name in loaded] == []


def test_two_processes_read_the_same_pipelines(another: dict[str, str]) -> None:
    here = json.dumps({name: DagSerialization.to_dict(dag) for name, dag in bag().dags.items()}, sort_keys=True)
    assert here == another["DAGS"]
    assert '"petrol"' in here
    assert "object at 0x" not in here


def test_weather_is_what_was_asked_for(dags: dict[str, DAG]) -> None:
    for name, first in (("weather", "fetch_weather"), ("weather_by_service", "call_service")):
        dag = dags[name]
        assert dag.timetable.expression == "*/10 * * * *"
        assert {(task.retries, task.retry_delay) for task in dag.tasks} == {(1, timedelta(minutes=2))}
        assert dag.task_dict[first].downstream_task_ids == {"check_weather"}
        assert dag.task_dict[first].output_url == "lake://raw/weather_data"
    assert dags["weather"].is_paused_upon_creation is None
    assert dags["weather_by_service"].is_paused_upon_creation is True, "the service it calls is off by default"
