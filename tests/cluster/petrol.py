"""What a published model looks like from outside, and how tests start and follow runs of `petrol`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tidegate.cli import runs
from tidegate.cli.objects import BUCKET

if TYPE_CHECKING:
    from tidegate.cli.airflow_api import Airflow

S3 = Any
"""A boto3 client; boto3 makes its classes at run time."""
ROOT = "models/petrol"
RUN_SECONDS = 600


@dataclass(frozen=True)
class Published:
    """One hour's model, as it lies in the store."""

    card: dict[str, Any]
    model_url: str
    model_sha256: str


def body(store: S3, key: str) -> bytes:
    found: bytes = store.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return found


def key_of(url: str) -> str:
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc) == ("s3", BUCKET)
    return parts.path.lstrip("/")


def published(store: S3, hour: datetime) -> Published:
    """The model of an hour, with the digest of the pickle's own bytes."""
    card = json.loads(body(store, f"{ROOT}/{hour.astimezone(UTC):%Y/%m/%d/%H}/model_card.json"))
    url = card["model"]["url"]
    return Published(card, url, hashlib.sha256(body(store, key_of(url))).hexdigest())


def hour_of(run: dict[str, Any]) -> datetime:
    """The hour that a run publishes under: of its logical date, or of run_after where it has none."""
    return datetime.fromisoformat(run["logical_date"] or run["run_after"]).astimezone(UTC)


def finished(api: Airflow, run_id: str, *, dag_id: str = "petrol") -> dict[str, Any]:
    """The run once it has succeeded; its failing task's log otherwise."""
    run = runs.Run(dag_id, run_id)
    end = runs.wait(api, [run], seconds=RUN_SECONDS)[run]
    assert end == "success", runs.failure(api, run)
    found = api.run(dag_id, run_id)
    assert found
    return found


def folder_of(api: Airflow, run_id: str) -> str:
    """Where a run of `petrol` published, from what its last step reported."""
    result = api.xcom("petrol", run_id, "upload_model")
    urls = {one["name"]: one["url"] for one in result["outputs"]}
    return key_of(urls["card"]).removesuffix("/model_card.json")
