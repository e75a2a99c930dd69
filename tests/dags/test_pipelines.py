"""The DAG files: they parse, the same way every time, and every pod they lead to is let in."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization
from airflow.task.trigger_rule import TriggerRule

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


def fields_of(task: Any) -> tuple[str, dict[str, Any], str | None]:
    """Step, inputs and output of a task, also of one that is mapped over its params."""
    if isinstance(task, MappedOperator):
        assert task.operator_class is StepOperator
        return task.partial_kwargs["step"], task.partial_kwargs["inputs"], task.partial_kwargs.get("output_url")
    assert isinstance(task, StepOperator), f"{task}: step() is the one way to run something"
    return task.step, task.inputs, task.output_url


def test_every_pod_of_every_pipeline_is_let_in(dags: dict[str, DAG]) -> None:
    walked = []
    for dag in dags.values():
        for task in dag.tasks:
            if isinstance(task, EmptyOperator):
                continue
            step, inputs, output = fields_of(task)
            run = Identity(dag_id=dag.dag_id, run_id="r", task_id=task.task_id, try_number=1, logical_date="x")
            config = {"_platform": json.dumps({"store_root": "s3://tidegate"}), step: entry(step)}
            fields = {"params": {}, "inputs": dict.fromkeys(inputs, "s3://tidegate/x"), "output": output}
            order = make_order(config, run, step=step, namespace="tidegate-steps", **fields)
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


def test_a_process_with_the_library_in_memory_imports_nothing_big_for_a_dag_file(another: dict[str, str]) -> None:
    """The DAG processor reads every file in a fork of such a process."""
    heavy = {"tidegate", "kubernetes", "kubernetes_asyncio", "azure", "numpy", "boto3"}
    assert [name for name in another["LATE"].split() if name.partition(".")[0] in heavy] == []


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


@pytest.mark.parametrize("name", ["people", "people_in_shards"])
def test_people_are_made_matched_and_told(dags: dict[str, DAG], name: str) -> None:
    dag = dags[name]
    before_mail = ["make_people", *(["prepare"] if name == "people_in_shards" else []), "dedup_people"]
    for task, after in zip(before_mail, [*before_mail[1:], "tell_success"], strict=True):
        assert dag.task_dict[task].downstream_task_ids == {after, "tell_failure"}
    assert dag.task_dict["tell_failure"].trigger_rule == TriggerRule.ONE_FAILED
    assert dag.task_dict["tell_success"].trigger_rule == TriggerRule.ALL_SUCCESS
    assert {(task.retries, task.retry_delay) for task in dag.tasks} == {(2, timedelta(seconds=30))}


def test_people_come_hourly_and_a_large_batch_on_demand(dags: dict[str, DAG]) -> None:
    assert dags["people"].timetable.expression == "0 * * * *"
    assert not dags["people_in_shards"].timetable.can_be_scheduled


def test_each_pod_of_a_large_batch_takes_another_share(dags: dict[str, DAG]) -> None:
    dag = dags["people_in_shards"]
    rows = dag.task_dict["prepare"].expand_input.value["step_params"]
    assert [(row["stage"], row["shard"], row["shards"]) for row in rows] == [("prepare", i, 4) for i in range(4)]
    commit = dag.task_dict["dedup_people"]
    assert commit.step_params["stage"] == "commit"
    assert commit.inputs["prepared"] == dag.task_dict["prepare"].partial_kwargs["output_url"]
    same = {name: value for name, value in commit.step_params.items() if name != "stage"}
    assert all({**row, **same} == row for row in rows), "a share prepared by other rules would be of no use"


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("match_at", 0.5),
        ("match_at", 1),
        ("review_at", 0),
        ("margin", -1),
        ("count", 0),
        ("chunk_rows", 20_001),
        ("duplicates", 1),
        ("columns", []),
        ("data", None),
    ],
)
def test_the_form_of_people_refuses_what_the_steps_would_refuse(dags: dict[str, DAG], name: str, bad: object) -> None:
    with pytest.raises(ParamValidationError):
        dags["people"].params.get_param(name).resolve(bad)
