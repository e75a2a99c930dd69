"""The pipelines' own steps through the real trigger: templates, values between steps, and what is stored of it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from tidegate.airflow import step
from tidegate.airflow.local_pods import LocalPods
from tidegate.airflow.testing import run_step

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from tidegate.airflow.testing import StepRun

SAY = "import os, sys; open(os.environ['TIDEGATE_RESULT'], 'w').write(sys.argv[1])"
"""A step that says what it is told to."""


def says(name: str, *outputs: str) -> list[str]:
    """A command for step `name` that has these outputs."""
    urls = [{"name": output, "url": f"s3://tidegate/made/by/{name}/{output}"} for output in outputs]
    result = {"outputs": urls, "metrics": {"mae": 1.5}, "summary": f"{name} did it"}
    return [sys.executable, "-c", SAY, json.dumps(result)]


class Cluster:
    """Where the steps run: processes of this machine; keeps what became of each."""

    def __init__(self, config: dict[str, str], commands: dict[str, list[str]]) -> None:
        self.config, self.commands = config, commands
        self.pods: list[dict[str, Any]] = []

    def run(self, dag: DAG, task_id: str, **options: Any) -> StepRun:
        local = LocalPods(config=self.config, commands=self.commands)

        async def connect() -> LocalPods:
            return local

        found = run_step(dag.get_task(task_id), connect=connect, **options)
        self.pods += local.pods.values()
        return found

    def environment(self, index: int = -1) -> dict[str, str]:
        given = self.pods[index]["spec"]["containers"][0]["env"]
        return {one["name"]: one.get("value", "").replace("$$", "$") for one in given}


@pytest.fixture
def cluster(config: dict[str, str]) -> Cluster:
    made = ("model", "card", "holdout", "predicted_vs_actual", "importances")
    commands = {"hello": says("hello"), "train_model": says("train_model", *made)}
    return Cluster(config, {**commands, "upload_model": says("upload_model", "model", "card")})


def test_petrol_hands_urls_from_step_to_step(cluster: Cluster, dags: dict[str, DAG]) -> None:
    trained = cluster.run(dags["petrol"], "train_model", conf={"n_estimators": 7, "target": "Größe"})
    assert (trained.state, trained.path) == ("success", "triggerer")
    told = cluster.environment()
    wanted = {"n_estimators": 7, "random_state": 0, "target": "Größe", "test_size": 0.2}
    assert json.loads(told["TIDEGATE_PARAMS"]) == wanted
    assert json.loads(told["TIDEGATE_INPUTS"]) == {"data": "s3://tidegate/data/petrol_consumption.csv"}
    assert told["TIDEGATE_OUTPUT"] == "s3://tidegate/runs/petrol/test/train_model"

    uploaded = cluster.run(dags["petrol"], "upload_model", xcoms={"train_model": trained.values})
    assert (uploaded.state, uploaded.path) == ("success", "triggerer")
    told = cluster.environment()
    urls = {name: f"s3://tidegate/made/by/train_model/{name}" for name in ("model", "card", "holdout")}
    assert json.loads(told["TIDEGATE_INPUTS"]) == urls
    assert told["TIDEGATE_OUTPUT"] == "s3://tidegate/models/petrol"


def test_hello_greets_whoever_it_is_told_to(cluster: Cluster, dags: dict[str, DAG]) -> None:
    assert cluster.run(dags["hello"], "hello", conf={"name": "{{ 7 * 6 }} $(HOME)"}).state == "success"
    assert json.loads(cluster.environment()["TIDEGATE_PARAMS"]) == {"name": "{{ 7 * 6 }} $(HOME)"}


def test_the_result_and_each_output_are_values_for_later_tasks(cluster: Cluster, dags: dict[str, DAG]) -> None:
    found = cluster.run(dags["petrol"], "train_model")
    assert found.values["model"] == "s3://tidegate/made/by/train_model/model"
    assert found.values["return_value"]["metrics"] == {"mae": 1.5}
    assert "metric mae = 1.5" in found.log
    assert "output model: s3://tidegate/made/by/train_model/model" in found.log


def test_no_secret_is_in_what_airflow_stores(cluster: Cluster, dags: dict[str, DAG]) -> None:
    """The serialized DAG holds the trigger's arguments; XComs and the log are kept as well."""
    found = cluster.run(dags["petrol"], "train_model")
    stored = json.dumps([DagSerialization.to_dict(dags["petrol"]), dict(found.values), list(found.log)], default=str)
    assert "train_model" in stored
    assert [word for word in ("us-east-1", "AWS_", "SECRET", "step-train-model") if word in stored] == []


def test_what_describes_a_pod_is_no_option_of_a_dag() -> None:
    with pytest.raises(TypeError, match=r"step\('hello'\) takes no env_vars, image: set steps\.hello in the chart's"):
        step("hello", image="busybox", env_vars={"PASSWORD": "x"})
