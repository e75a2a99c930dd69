"""Azure Machine Learning against the stand-in: two connections as people type them into the form, two subscriptions.

What Azure does, or refuses, is `tests/jobs/azure_ml`; here it is the way from Airflow's form to the pod.
"""

from __future__ import annotations

import base64
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tidegate.cli import runs
from tidegate.cli.kubectl import NAMESPACE, STEPS_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.cluster.conftest import Installed
    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

WORKSPACES = {"AML_TEST_CONNECTION": "00000000-0000-0000-0000-00000000aaaa",
              "AML_2ND_SUB": "00000000-0000-0000-0000-00000000bbbb"}  # fmt: skip
"""Connection -> subscription."""
DAG_IDS = ("AML_CommandJob", "AML_Pipeline_2Subs")


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
        "password": keys["AZURE_ML_API_CLIENT_SECRET"],
        "extra": json.dumps(extra),
    }
    api.call("DELETE", f"connections/{conn_id}", missing_ok=True)
    api.call("POST", "connections", json=body)


@pytest.fixture(scope="module")
def keys(kubectl: Kubectl, installed: Installed) -> dict[str, str]:
    return kubectl.secret("azure-ml-api")


@pytest.fixture(scope="module")
def played(api: Airflow, keys: dict[str, str]) -> list[runs.Run]:
    """One run of each, to their ends."""
    for conn_id, subscription in WORKSPACES.items():
        typed(api, conn_id, subscription, keys)
    started = []
    for dag_id in DAG_IDS:
        api.unpause(dag_id)
        started.append(runs.Run(dag_id, api.trigger(dag_id, run_id=f"aml__{uuid.uuid4()}")))
    states = runs.wait(api, started)
    assert states == dict.fromkeys(started, "success"), [runs.failure(api, run) for run in started]
    return started


def result(api: Airflow, run: runs.Run, task_id: str) -> dict[str, Any]:
    found = api.xcom(run.dag_id, run.run_id, task_id)
    assert isinstance(found, dict)
    return found


def test_a_command_job_is_green(api: Airflow, played: list[runs.Run]) -> None:
    found = result(api, played[0], "iris")
    assert (found["status"], found["submitted"]) == ("Completed", True)
    assert api.xcom(played[0].dag_id, played[0].run_id, "iris", key="job_id") == found["name"]
    links = api.call("GET", f"dags/AML_CommandJob/dagRuns/{played[0].run_id}/taskInstances/iris/links").json()
    assert links["extra_links"] == {"Azure Machine Learning Studio": found["studio_url"]}


def test_one_dag_works_in_two_subscriptions(api: Airflow, played: list[runs.Run]) -> None:
    ids = [result(api, played[1], f"pipeline_{which}_sub")["id"] for which in ("1st", "2nd")]
    assert [one.split("/")[2] for one in ids] == list(WORKSPACES.values())


def test_no_secret_is_left_in_the_cluster_or_in_airflow(
    api: Airflow, kubectl: Kubectl, played: list[runs.Run], keys: dict[str, str]
) -> None:
    secret = keys["AZURE_ML_API_CLIENT_SECRET"]
    encoded = base64.b64encode(secret.encode()).decode()
    for kind in ("secrets", "pods", "events"):
        text = kubectl.text("get", kind, "--namespace", STEPS_NAMESPACE, "--output", "json")
        assert [word for word in (secret, encoded) if word in text] == [], kind
    for run in played:
        for task in api.tasks(run.dag_id, run.run_id):
            if task["operator"] != "EmptyOperator":
                assert secret not in "\n".join(api.log(run.dag_id, run.run_id, task["task_id"]))
    asked = kubectl.text("logs", "deployment/azure-ml-api", "--namespace", NAMESPACE, "--container", "azure-ml-api")
    assert secret not in asked
