"""On a real workspace: `AZURE_ML_LIVE_WORKSPACE`, with the other `AZURE_ML_*` of a connection beside it.

It signs in, registers and finds an environment, and submits a job that is cancelled before it costs anything.
"""

from __future__ import annotations

import json
import os
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from jobs import azure_ml
from tidegate.step import StepError, Stores
from tidegate.step.settings import read

if TYPE_CHECKING:
    from pathlib import Path

WORKSPACE = os.environ.get("AZURE_ML_LIVE_WORKSPACE", "")
ENVIRONMENT = "name: tidegate-tests\nimage: mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04\n"
JOB = "type: command\ncommand: sleep 600\nexperiment_name: tests\nenvironment: azureml:tidegate-tests:{version}\n"
RUN = {"dag_id": "tests", "run_id": uuid.uuid4().hex, "task_id": "live", "map_index": -1, "try_number": 1}

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.skipif(not WORKSPACE, reason="optional: AZURE_ML_LIVE_WORKSPACE names no real workspace"),
]


def value(folder: Path, action: str, **params: Any) -> dict[str, Any]:
    given = {"TIDEGATE_PARAMS": json.dumps({"action": action, **params}), "TIDEGATE_RUN": json.dumps(RUN)}
    own = {"AZURE_ML_WORKSPACE": WORKSPACE, "TIDEGATE_OUTPUT": folder.as_uri()}
    found = azure_ml.run(read(azure_ml.Settings, {**os.environ, **given, **own}), Stores()).value
    assert isinstance(found, dict)
    return found


def test_a_real_workspace_answers_as_the_stand_in_does(tmp_path: Path) -> None:
    assert value(tmp_path, "ping")["workspace"] == WORKSPACE
    made = value(tmp_path, "environment", spec=ENVIRONMENT)
    assert value(tmp_path, "environment", spec=ENVIRONMENT) == {**made, "created": False}
    job = JOB.format(version=made["version"])
    first, second = (value(tmp_path, "job submit", spec=job, waiting=False) for _ in range(2))
    assert (first["name"], second["submitted"]) == (second["name"], False)
    assert value(tmp_path, "job cancel")["status"] in {"Canceled", "CancelRequested"}
    with pytest.raises(StepError, match="is Canceled"):
        value(tmp_path, "job wait")
