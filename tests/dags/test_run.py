"""Whole runs through Airflow itself: templates, values between steps, and what is stored of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.dag_processing.dagbag import BundleDagBag

from tests.dags.conftest import ROOT
from tests.dags.kubernetes_api import KubernetesApi, ended, running
from tests.dags.test_step import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.models.dagrun import DagRun

    Run = Callable[..., DagRun]


def result(step: str, *outputs: str) -> str:
    urls = [{"name": name, "url": f"s3://tidegate/made/by/{step}/{name}"} for name in outputs]
    return json.dumps({"outputs": urls, "metrics": {"mae": 1.5}, "summary": f"{step} did it"})


@pytest.fixture
def run(database: None, api: KubernetesApi) -> Run:
    def start(dag_id: str, conf: dict[str, Any] | None = None) -> DagRun:
        bag = BundleDagBag(bundle_path=ROOT / "dags", dag_folder=str(ROOT / "dags"), bundle_name="dags")
        dag = bag.dags[dag_id]
        for task in dag.tasks:
            task.poll_interval = task.startup_check_interval_seconds = 0.05
        return dag.test(run_conf=conf)

    return start


def test_petrol_hands_urls_from_step_to_step(api: KubernetesApi, run: Run) -> None:
    made = ("model", "card", "holdout", "predicted_vs_actual", "importances")
    api.scripts["train_model"] = [running(), ended(0, result("train_model", *made))]
    api.scripts["upload_model"] = [ended(0, result("upload_model", "model", "card", "latest"))]
    done = run("petrol", {"n_estimators": 7, "target": "Größe"})
    assert done.state == "success"

    train, upload = (environment(pod) for pod in api.made())
    assert json.loads(train["TIDEGATE_PARAMS"]) == {
        "n_estimators": 7, "random_state": 0, "target": "Größe", "test_size": 0.2,
    }  # fmt: skip
    assert json.loads(train["TIDEGATE_INPUTS"]) == {"data": "s3://tidegate/data/petrol_consumption.csv"}
    assert train["TIDEGATE_OUTPUT"].startswith("s3://tidegate/runs/petrol/")
    assert json.loads(upload["TIDEGATE_INPUTS"]) == {
        name: f"s3://tidegate/made/by/train_model/{name}" for name in ("model", "card", "holdout")
    }
    assert upload["TIDEGATE_OUTPUT"] == "s3://tidegate/models/petrol"


def test_hello_greets_whoever_it_is_told_to(api: KubernetesApi, run: Run) -> None:
    assert run("hello", {"name": "{{ 7 * 6 }} $(HOME)"}).state == "success"
    told = environment(api.made()[0])["TIDEGATE_PARAMS"]
    assert json.loads(told.replace("$$", "$")) == {"name": "{{ 7 * 6 }} $(HOME)"}
