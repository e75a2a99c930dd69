"""What a published model looks like from outside, and how tests start and follow runs of `petrol`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tidegate.cli import runs, step_pods
from tidegate.cli.objects import BUCKET

if TYPE_CHECKING:
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

S3 = Any
"""A boto3 client; boto3 makes its classes at run time."""
ROOT = "models/petrol"
RUN_SECONDS = 600
SLOW = {"n_estimators": 9000, "force": True}
"""Trees enough for a training that is still going on when it is killed, and trained each time anew."""
IN_A_WHILE = 120
OVER = ("Succeeded", "Failed")


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


def training_pods(kubectl: Kubectl, run_id: str) -> list[dict[str, Any]]:
    return step_pods.of_steps(kubectl, dag="petrol", run=run_id, task="train_model")


def training(kubectl: Kubectl, run_id: str) -> str:
    """The name of the training pod of a run, once it runs."""
    found: list[str] = []

    def seen() -> bool:
        phases = [(pod["metadata"]["name"], pod["status"]["phase"]) for pod in training_pods(kubectl, run_id)]
        found[:] = [name for name, phase in phases if phase == "Running"]
        return bool(found)

    state = lambda: str(training_pods(kubectl, run_id))  # noqa: E731 - said only when the time is over
    runs.until(seen, seconds=IN_A_WHILE, what="a training pod that runs", state=state, every=0.5)
    return found[0]


def assert_no_pod_left_over(kubectl: Kubectl, run_id: str) -> None:
    found = step_pods.of_steps(kubectl, dag="petrol", run=run_id)
    assert [pod["metadata"]["name"] for pod in found if pod["status"]["phase"] not in OVER] == []
