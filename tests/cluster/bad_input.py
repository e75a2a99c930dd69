"""Bad input of every kind for one run of `train_model`s, and a table that is too big for the memory they have.

Reads: nothing. Writes: the files to the store, below `tests/bad_input`. Again: files are replaced.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

from tidegate.cli.objects import BUCKET
from tidegate.sample import HEADER

if TYPE_CHECKING:
    from tests.cluster import petrol

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


def put(store: petrol.S3) -> None:
    """Every file that the cases name, the big one too."""
    for name, text in FILES.items():
        store.put_object(Bucket=BUCKET, Key=f"{FOLDER}/{name}", Body=text.encode())
    put_huge(store, f"{FOLDER}/{HUGE}")
