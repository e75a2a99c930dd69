"""The model that `up` published is the one its card vouches for, and the same as one trained without a cluster."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import petrol
from tests.cluster.counted import forget_below
from tidegate.cli import objects
from tidegate.cli.objects import BUCKET, PETROL_KEY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.acts import Acts
    from tests.cluster.conftest import Installed
    from tidegate.cli.airflow_api import Airflow


@pytest.fixture(scope="module")
def run(api: Airflow, installed: Installed, acts: Acts) -> dict[str, Any]:
    """The run that `up` started."""
    return next(one for one in api.runs("petrol", limit=20) if one["dag_run_id"].startswith("up__"))


def test_the_model_lies_under_the_hour_of_its_run(api: Airflow, store: petrol.S3, run: dict[str, Any]) -> None:
    hour = petrol.hour_of(run)
    assert petrol.folder_of(api, run["dag_run_id"]) == f"models/petrol/{hour:%Y/%m/%d/%H}"
    assert petrol.published(store, hour).model_url.startswith(f"s3://tidegate/models/petrol/{hour:%Y/%m/%d/%H}/model-")


def test_the_cards_sha256_is_that_of_the_object(store: petrol.S3, run: dict[str, Any]) -> None:
    found = petrol.published(store, petrol.hour_of(run))
    assert found.card["model"]["sha256"] == found.model_sha256


def test_latest_points_to_it(store: petrol.S3, run: dict[str, Any]) -> None:
    latest = json.loads(petrol.body(store, "models/petrol/latest.json"))
    assert latest["sha256"] == hashlib.sha256(petrol.body(store, petrol.key_of(latest["model"]))).hexdigest()
    assert latest["hour"] >= petrol.hour_of(run).strftime("%Y-%m-%dT%H:00:00+00:00")


def test_it_was_trained_on_the_csv_that_was_given(store: petrol.S3, run: dict[str, Any], installed: Installed) -> None:
    data = petrol.published(store, petrol.hour_of(run)).card["data"]
    assert data["sha256"] == hashlib.sha256(installed.csv.read_bytes()).hexdigest()
    assert data["etag"].strip('"') == store.head_object(Bucket=BUCKET, Key=PETROL_KEY)["ETag"].strip('"')
    assert data["rows"] == len(installed.csv.read_text().strip().splitlines()) - 1


def test_the_same_csv_again_is_no_new_version(store: petrol.S3, installed: Installed) -> None:
    """Which would be another input, so that every training ran again after an `up` that changed nothing."""
    before = store.head_object(Bucket=BUCKET, Key=PETROL_KEY)["VersionId"]
    assert not objects.replace(store, PETROL_KEY, installed.csv.read_bytes(), media="text/csv")
    assert store.head_object(Bucket=BUCKET, Key=PETROL_KEY)["VersionId"] == before


def test_another_body_is_a_new_version(store: petrol.S3) -> None:
    key = "tests/replaced"
    written = [objects.replace(store, key, body, media="text/plain") for body in (b"1", b"1", b"2")]
    assert written == [True, False, True]
    assert petrol.body(store, key) == b"2"
    forget_below(store, key)


def trained_here(csv: Path, folder: Path, parameters: dict[str, Any]) -> dict[str, Any]:
    """`python -m jobs train_model` by the contract and nothing else; its card."""
    environment = {
        "PATH": os.environ["PATH"],
        "TIDEGATE_PARAMS": json.dumps(parameters),
        "TIDEGATE_INPUTS": json.dumps({"data": csv.resolve().as_uri()}),
        "TIDEGATE_OUTPUT": folder.as_uri(),
        "TIDEGATE_RESULT": str(folder / "result.json"),
        "TIDEGATE_RUN": json.dumps({"dag_id": "local", "run_id": "local", "task_id": "train_model"}),
    }
    folder.mkdir()
    command = [sys.executable, "-m", "jobs", "train_model"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    card: dict[str, Any] = json.loads((folder / "model_card.json").read_text())
    assert json.loads((folder / "result.json").read_text())["metrics"] == card["metrics"]
    return card


def test_training_without_a_cluster_gives_the_same_metrics_twice(
    store: petrol.S3, run: dict[str, Any], installed: Installed, tmp_path: Path
) -> None:
    card = petrol.published(store, petrol.hour_of(run)).card
    parameters = card["parameters"] | {"target": card["target"]}
    once = trained_here(installed.csv, tmp_path / "once", parameters)
    twice = trained_here(installed.csv, tmp_path / "twice", parameters)
    assert once["metrics"] == twice["metrics"]
    assert once["model"] == twice["model"]
    assert once["metrics"] == card["metrics"]


def test_no_worker_took_part(api: Airflow, acts: Acts) -> None:
    """In a run that began when `up` was long done, so that Airflow knows the pipelines of this checkout."""
    tasks = api.tasks("petrol", acts.forced.result().run_id)
    assert {task["task_id"]: task["hostname"] for task in tasks} == {"train_model": "", "upload_model": ""}


@pytest.mark.parametrize("task", ["train_model", "upload_model"])
def test_what_a_step_printed_is_in_its_log_after_its_end(api: Airflow, acts: Acts, task: str) -> None:
    forced = acts.forced.result()
    shown = "\n".join(api.log("petrol", forced.run_id, task))
    assert forced.printed[task]
    assert [line for line in forced.printed[task] if line and shown.count(line) != 1] == []
