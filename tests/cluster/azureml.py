"""Azure Machine Learning against the stand-in: two connections as people type them into the form, two subscriptions.

Reads: the stand-in's Secret. Writes: the two connections, and a run of each of two example pipelines, switched on.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.cli import runs
from tidegate.cli.kubectl import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

WORKSPACES = {"AML_TEST_CONNECTION": "00000000-0000-0000-0000-00000000aaaa",
              "AML_2ND_SUB": "00000000-0000-0000-0000-00000000bbbb"}  # fmt: skip
"""Connection -> subscription."""
SECRET_KEY = "AZURE_ML_API_CLIENT_SECRET"


@dataclass(frozen=True)
class Played:
    """Runs that are over and green; `secret` is the password of both connections."""

    command: runs.Run
    pipeline: runs.Run
    secret: str


def play(kubectl: Kubectl, api: Airflow) -> Played:
    """One run of each, to their ends."""
    keys = kubectl.secret("azure-ml-api")
    for conn_id, subscription in WORKSPACES.items():
        typed(api, conn_id, subscription, keys)
    command, pipeline = (_start(api, dag_id) for dag_id in ("AML_CommandJob", "AML_Pipeline_2Subs"))
    states = runs.wait(api, [command, pipeline])
    assert set(states.values()) == {"success"}, [runs.failure(api, run) for run in states]
    return Played(command, pipeline, keys[SECRET_KEY])


def _start(api: Airflow, dag_id: str) -> runs.Run:
    api.unpause(dag_id)
    return runs.Run(dag_id, api.trigger(dag_id, run_id=f"aml__{uuid.uuid4()}"))


def typed(api: Airflow, conn_id: str, subscription: str, keys: Mapping[str, str]) -> None:
    """Make a connection, as the form does: the extra has the short names."""
    extra = {
        "tenantId": "11111111-1111-1111-1111-111111111111",
        "subscriptionId": subscription,
        "resource_group_name": "rg",
        "workspace_name": "ws",
        "resource_manager": f"https://azure-ml-api.{NAMESPACE}.svc:8443",
        "ca": keys["ca.crt"],
    }
    body = {
        "connection_id": conn_id,
        "conn_type": "azure_machine_learning",
        "login": "22222222-2222-2222-2222-222222222222",
        "password": keys[SECRET_KEY],
        "extra": json.dumps(extra),
    }
    api.call("DELETE", f"connections/{conn_id}", missing_ok=True)
    api.call("POST", "connections", json=body)
