"""ml_training_dag and ml_testing_dag: the original's ids, order and conf, and common tasks that are the same work."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk.exceptions import ParamValidationError

from tests.jobs.steps import environment, run_step

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.sdk import DAG

COMMON = ("initializer", "common_task_1", "common_task_2")
ORDER = {
    "ml_training_dag": (*COMMON, "training_task_1"),
    "ml_testing_dag": (*COMMON, "testing_task_1", "testing_task_2"),
}
CONF = {"ml_training_dag": {"parameter_1", "parameter_2"}, "ml_testing_dag": {"parameter_1", "parameter_3"}}


@pytest.fixture
def dags(parsed: BundleDagBag) -> dict[str, DAG]:
    return {name: parsed.dags[name] for name in ORDER}


@pytest.mark.parametrize("name", ORDER)
def test_ids_order_and_conf_are_the_originals(dags: dict[str, DAG], name: str) -> None:
    dag = dags[name]
    assert sorted(dag.task_dict) == sorted(ORDER[name])
    for before, after in zip(ORDER[name], ORDER[name][1:], strict=False):
        assert dag.task_dict[before].downstream_task_ids == {after}
    assert set(dag.params) == CONF[name]
    assert isinstance(dag.task_dict["initializer"], EmptyOperator), "it costs no worker"


def test_the_common_tasks_are_the_same_work_in_both(dags: dict[str, DAG]) -> None:
    training, testing = dags.values()
    for name in COMMON[1:]:
        assert work(training, name) == work(testing, name)
        assert "parameter_2" not in work(training, name)
        assert "parameter_3" not in work(testing, name)


def test_a_task_is_told_the_parameters_it_depends_on_and_no_others(dags: dict[str, DAG]) -> None:
    told = {task.task_id: set(task.step_params["parameters"]) for dag in dags.values() for task in steps(dag)}
    assert told["common_task_1"] == told["common_task_2"] == {"parameter_1"}
    assert told["training_task_1"] == {"parameter_1", "parameter_2"}
    assert told["testing_task_1"] == told["testing_task_2"] == {"parameter_1", "parameter_3"}


def test_every_task_has_a_folder_of_its_own_for_each_set_of_its_parameters(dags: dict[str, DAG]) -> None:
    for dag in dags.values():
        for task in steps(dag):
            names = [f"{{{{ params.{name} }}}}" for name in task.step_params["parameters"]]
            assert task.output_url == "/".join(["tasks", task.task_id, *names])


@pytest.mark.parametrize("bad", ["", "..", "../x", "a/b", "-", "x" * 101, 1, None])
def test_a_parameter_that_would_leave_its_folder_is_refused(dags: dict[str, DAG], bad: object) -> None:
    for dag in dags.values():
        with pytest.raises(ParamValidationError):
            dag.params.get_param("parameter_1").resolve(bad)


def steps(dag: DAG) -> list[Any]:
    return [task for task in dag.tasks if task.task_id != "initializer"]


def work(dag: DAG, name: str) -> str:
    task: Any = dag.task_dict[name]
    return json.dumps([task.step, task.step_params, str(task.inputs), task.output_url, sorted(task.upstream_task_ids)])


def test_the_commands_work_and_only_the_testing_tasks_notice_parameter_3(dags: dict[str, DAG], tmp_path: Path) -> None:
    first, again = (outputs(dags["ml_testing_dag"], tmp_path / name, parameter_3=name) for name in ("x", "y"))
    trained = outputs(dags["ml_training_dag"], tmp_path / "z", parameter_2="z")
    assert first["common_task_2"] == again["common_task_2"] == trained["common_task_2"]
    assert first["testing_task_1"] != again["testing_task_1"]
    assert set(trained["training_task_1"]) == {"metrics.json", "model"}
    assert 0 <= json.loads(first["testing_task_2"]["metrics.json"])["score"] <= 1


def outputs(dag: DAG, folder: Path, **params: str) -> dict[str, dict[str, bytes]]:
    """What each task's command leaves, run in order by the step contract."""
    found: dict[str, dict[str, bytes]] = {}
    for name in ORDER[dag.dag_id][1:]:
        task: Any = dag.task_dict[name]
        told = {"parameter_1": "one", **params}
        chosen = {
            "command": task.step_params["command"],
            "parameters": {p: told[p] for p in task.step_params["parameters"]},
        }
        place = folder / name
        data = {key: (folder / ref.operator.task_id / ref.key).as_uri() for key, ref in task.inputs.items()}
        environ = environment(folder, params=chosen, inputs=data, output=place.as_uri())
        done = run_step("run_command", environ | {"PATH": os.environ["PATH"]})
        assert done.code == 0, done.error
        found[name] = {path.name: path.read_bytes() for path in place.iterdir()}
    return found
