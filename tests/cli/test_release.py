"""A helm that was killed leaves a revision pending; it becomes a failed one, and nothing else of it changes."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tidegate.cli import app, release
from tidegate.cluster import images

REFS = {
    "base": "tidegate/base:000000000001",
    "airflow": "localhost:5000/tidegate/airflow:000000000002",
    "hello": "tidegate/hello:000000000003",
    "train_model": "tidegate/train_model:000000000004",
    "git_server": "tidegate/git_server:000000000005",
    "datalake": "tidegate/datalake:000000000006",
    "weather_api": "tidegate/weather_api:000000000007",
    "azure_ml_api": "tidegate/azure_ml_api:000000000008",
}


def revision(status: str) -> dict[str, Any]:
    """A revision as helm stores it."""
    record = {"name": "tidegate", "version": 3, "manifest": "---\n", "info": {"status": status, "notes": "n"}}
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(record).encode()))).decode()
    labels = {"owner": "helm", "name": "tidegate", "version": "3", "status": status}
    return {"metadata": {"name": "sh.helm.release.v1.tidegate.v3", "labels": labels}, "data": {"release": packed}}


def record_of(secret: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    return found


@pytest.mark.parametrize("status", ["pending-install", "pending-upgrade", "pending-rollback"])
def test_a_pending_revision_becomes_a_failed_one(status: str) -> None:
    before = revision(status)
    after = release.restated(before, status="failed", description="killed")
    assert after["metadata"]["labels"] == before["metadata"]["labels"] | {"status": "failed"}
    assert record_of(after)["info"]["status"] == "failed"
    assert record_of(after)["info"]["notes"] == "n"
    assert record_of(after) | {"info": 0} == record_of(before) | {"info": 0}


def test_the_revision_that_was_given_is_left_as_it_was() -> None:
    before = revision("pending-upgrade")
    release.restated(before, status="failed", description="killed")
    assert before == revision("pending-upgrade")


def test_values_name_the_image_of_every_step_and_of_nothing_else() -> None:
    values = release.values(REFS)
    assert values["steps"] == {"hello": {"image": REFS["hello"]}, "train_model": {"image": REFS["train_model"]}}
    assert values["devcloud"] == {
        "gitServer": {"image": REFS["git_server"]},
        "datalake": {"image": REFS["datalake"]},
        "weatherApi": {"image": REFS["weather_api"]},
        "azureMlApi": {"image": REFS["azure_ml_api"]},
    }


def test_a_port_in_the_registry_is_no_tag() -> None:
    image = release.values(REFS)["airflow"]["images"]["airflow"]
    assert image == {"repository": "localhost:5000/tidegate/airflow", "tag": "000000000002"}


def test_the_values_file_names_every_image_of_the_checkout() -> None:
    printed = yaml.safe_load(CliRunner().invoke(app, ["images", "values", "--registry", "r.example/team"]).stdout)
    assert printed == release.values(images.references(registry="r.example/team"))
    assert printed["steps"]["hello"]["image"].startswith("r.example/team/tidegate/hello:")
