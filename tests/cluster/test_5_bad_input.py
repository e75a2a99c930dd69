"""Bad input ends a task at once, with words that say what to change; nothing is published and nothing is tried again.

All cases run side by side in one DAG, with two retries that none of them may take. What each message says in full is
tested without a cluster in tests/jobs.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.pushed import pushed
from tidegate.cli import runs, step_pods
from tidegate.cli.kubectl import STEPS_NAMESPACE
from tidegate.cli.objects import BUCKET
from tidegate.sample import HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster import petrol
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

DAG_ID = "bad_input"
FOLDER = "tests/bad_input"
ROW = "9.00,3571,1976,0.5250,541"
FILES = {
    "missing_column.csv": "Petrol_tax,Petrol_Consumption\n9,541\n8\n7,500\n",
    "not_a_number.csv": f"{HEADER}\n{ROW}\n9.00,3571,many,0.5250,541\n{ROW}\n",
    "empty.csv": "",
    "one_row.csv": f"{HEADER}\n{ROW}\n",
    "good.csv": f"{HEADER}\n" + f"{ROW}\n" * 20,
}
CASES = {
    "missing_column": ("missing_column.csv", {}, "line 3"),
    "not_a_number": ("not_a_number.csv", {}, "Paved_Highways"),
    "empty": ("empty.csv", {}, "empty.csv"),
    "one_row": ("one_row.csv", {}, "row"),
    "no_target": ("good.csv", {"target": "Diesel"}, "Diesel"),
    "no_such_object": ("nowhere.csv", {}, "nowhere.csv"),
    "no_such_bucket": ("s3://no-such-bucket/data.csv", {}, "no-such-bucket"),
    "no_store": ("ftp://example.invalid/data.csv", {}, "ftp://"),
    "test_size_0": ("good.csv", {"test_size": 0}, "test_size"),
    "test_size_1": ("good.csv", {"test_size": 1}, "test_size"),
    "no_trees": ("good.csv", {"n_estimators": 0}, "n_estimators"),
}
"""Task -> file (or URL), parameters, and a word that its message must have."""
HUGE = "huge.csv"
HUGE_TASK = "out_of_memory"
COLUMNS = 40
PART = 64 * 1024 * 1024
PARTS = 16
"""Sixteen parts of 64 MiB: 1 GiB of numbers, against a memory limit of 512 MiB."""

DAG = """\
import json

from airflow.sdk import DAG

from tidegate.airflow import step

with DAG("bad_input", schedule=None, default_args={"retries": 2}):
    for name, (file, params, _) in json.loads(CASES).items():
        data = file if "://" in file else f"tests/bad_input/{file}"
        step("train_model", task_id=name, params=params, inputs={"data": data}, output=f"tests/bad_input/out/{name}")
"""


def dag_text() -> str:
    """The file of a DAG with a task for each case."""
    return DAG.replace("CASES", repr(json.dumps(CASES | {HUGE_TASK: (HUGE, {}, "")})))


def put_huge(store: petrol.S3, key: str) -> None:
    """A CSV of 1 GiB out of two parts that are sent and fourteen that the server copies."""
    row = (",".join(["1"] * COLUMNS) + "\n").encode()
    head = (",".join([*(f"c{number}" for number in range(COLUMNS - 1)), "Petrol_Consumption"]) + "\n").encode()
    body = row * (PART // len(row))
    store.put_object(Bucket=BUCKET, Key=f"{key}.part", Body=io.BytesIO(body))
    upload = store.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    place = {"Bucket": BUCKET, "Key": key, "UploadId": upload}
    tags = [store.upload_part(**place, PartNumber=1, Body=io.BytesIO(head + body))["ETag"]]
    source = {"Bucket": BUCKET, "Key": f"{key}.part"}
    for number in range(2, PARTS + 1):
        copied = store.upload_part_copy(**place, PartNumber=number, CopySource=source)
        tags.append(copied["CopyPartResult"]["ETag"])
    parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
    store.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})


def remove(store: petrol.S3, prefix: str) -> None:
    """Every version of every object below a prefix: a gigabyte is not kept."""
    for page in store.get_paginator("list_object_versions").paginate(Bucket=BUCKET, Prefix=prefix):
        for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            store.delete_object(Bucket=BUCKET, Key=one["Key"], VersionId=one["VersionId"])


@pytest.fixture(scope="module")
def files(store: petrol.S3) -> Iterator[None]:
    for name, text in FILES.items():
        store.put_object(Bucket=BUCKET, Key=f"{FOLDER}/{name}", Body=text.encode())
    put_huge(store, f"{FOLDER}/{HUGE}")
    yield
    remove(store, FOLDER)


@pytest.fixture(scope="module")
def account(kubectl: Kubectl) -> Iterator[None]:
    """The service account that the chart makes for each of its `pipelines`."""
    name = f"pipeline-{DAG_ID.replace('_', '-')}"
    manifest = f"apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, namespace: {STEPS_NAMESPACE}}}\n"
    kubectl.text("apply", "--filename", "-", stdin=manifest)
    yield
    kubectl.text("delete", "--filename", "-", stdin=manifest)


@pytest.fixture(scope="module")
def run(kubectl: Kubectl, api: Airflow, files: None, account: None) -> Iterator[runs.Run]:
    """One run of all cases, over."""
    with pushed(kubectl, f"{DAG_ID}.py", dag_text()):
        runs.wait_visible(api, DAG_ID, source=dag_text())
        api.unpause(DAG_ID)
        started = runs.Run(DAG_ID, api.trigger(DAG_ID))
        assert runs.wait(api, [started], seconds=600)[started] == "failed"
        yield started


def task(api: Airflow, run: runs.Run, name: str) -> dict[str, Any]:
    return next(one for one in api.tasks(run.dag_id, run.run_id) if one["task_id"] == name)


@pytest.mark.parametrize("case", [*CASES, HUGE_TASK])
def test_it_fails_at_once_and_is_not_tried_again(api: Airflow, run: runs.Run, case: str) -> None:
    found = task(api, run, case)
    assert (found["state"], found["try_number"]) == ("failed", 1)


@pytest.mark.parametrize("case", CASES)
def test_its_log_says_what_to_change(api: Airflow, run: runs.Run, case: str) -> None:
    said = "\n".join(api.log(run.dag_id, run.run_id, case))
    assert CASES[case][2] in said
    assert "AirflowFailException" in said


@pytest.mark.parametrize("case", CASES)
def test_its_pod_ended_with_code_2(kubectl: Kubectl, run: runs.Run, case: str) -> None:
    pods = step_pods.of_steps(kubectl, dag=DAG_ID, run=run.run_id, task=case)
    ended = [pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] for pod in pods]
    assert ended == [2]


def test_too_little_memory_is_named_and_so_is_the_remedy(api: Airflow, run: runs.Run) -> None:
    said = "\n".join(api.log(run.dag_id, run.run_id, HUGE_TASK))
    assert "out of memory" in said
    assert "steps.train_model.resources.limits.memory" in said
    assert "512Mi" in said


def test_nothing_was_published(store: petrol.S3, run: runs.Run) -> None:
    assert store.list_objects_v2(Bucket=BUCKET, Prefix=f"{FOLDER}/out/").get("KeyCount") == 0
