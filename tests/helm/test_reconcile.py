"""The CronJob that tidies up, the ledger's database, and what the triggerer is told: the same in both modes."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.helm.renders import RENDERS, find, render
from tests.helm.restricted import containers, pods

LEDGER = "AIRFLOW_CONN_ML_AIRFLOW"
AIRFLOWS = ("scheduler", "triggerer", "api-server", "dag-processor")


def variables(container: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("valueFrom") or one.get("value") for one in container.get("env") or []}


@pytest.mark.parametrize("name", RENDERS)
def test_the_cron_job_has_what_it_needs_and_no_more(name: str) -> None:
    job = find(render(name), "CronJob", "tidegate-reconcile")
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    pod = job["spec"]["jobTemplate"]["spec"]["template"]
    assert pod["metadata"]["labels"]["tier"] == "airflow", "the database lets it in by this label"
    assert pod["spec"]["serviceAccountName"] == "tidegate-reconcile"
    (container,) = pod["spec"]["containers"]
    assert container["command"] == ["python", "-m", "tidegate.airflow.reconcile"]
    assert container["args"] == ["--keep=3", "--days=7", "--minutes=15"]
    assert set(variables(container)) == {"TIDEGATE_STEPS_NAMESPACE", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"}


@pytest.mark.parametrize("name", RENDERS)
def test_who_launches_steps_and_who_shows_them_has_the_ledgers_address_from_its_secret(name: str) -> None:
    found = [c for d in render(name) for _, pod in pods(d) for c in containers(pod) if c["name"] in AIRFLOWS]
    assert len(found) == len(AIRFLOWS)
    having = {c["name"]: variables(c)[LEDGER] for c in found if LEDGER in variables(c)}
    wanted = {"secretKeyRef": {"name": "ledger", "key": "connection"}}
    assert having.pop("triggerer") == wanted
    assert list(having.values()) in ([], [wanted]), "the api-server's page may read it, and nobody else"


@pytest.mark.parametrize("name", ["official", "standalone"])
def test_the_ledger_has_a_role_and_a_database_of_its_own(name: str) -> None:
    documents = render(name)
    url = base64.b64decode(find(documents, "Secret", "ledger")["data"]["connection"]).decode()
    assert url.startswith("postgresql://ledger:")
    assert url.endswith("@postgresql:5432/ledger")
    job = find(documents, "Job", "airflow-migrate-1")["spec"]["template"]["spec"]
    steps = [container["name"] for container in [*job["initContainers"], *job["containers"]]]
    assert steps == ["databases", "ledger", "migrate", "admin"], "Airflow waits for the last of them"
    assert {"DATABASE_URL_AIRFLOW", "DATABASE_URL_LEDGER"} <= set(variables(job["initContainers"][0]))
    assert job["initContainers"][1]["command"] == ["python", "-m", "tidegate.ledger.migrate"]


@pytest.mark.parametrize("name", RENDERS)
def test_a_triggerer_that_is_gone_is_noticed_soon_and_one_that_stops_has_time(name: str) -> None:
    settings = find(render(name), "ConfigMap", "tidegate-airflow")["data"]
    beat = float(settings["AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC"])
    gone = float(settings["AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD"])
    assert 5 * beat <= gone <= 15
    with_it = [pod for d in render(name) for _, pod in pods(d) if "triggerer" in [c["name"] for c in containers(pod)]]
    assert [pod["terminationGracePeriodSeconds"] >= 30 for pod in with_it] == [True]
