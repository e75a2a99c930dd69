"""The production values: nothing in the cluster that a cloud has, two of what must not stop, no key of any store."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helm.renders import find, render, title
from tests.helm.restricted import containers, pods

NAME = "official-production"
PARTS = ("scheduler", "triggerer", "api-server", "dag-processor")


def settings() -> dict[str, str]:
    data: dict[str, str] = find(render(NAME), "ConfigMap", "tidegate-airflow")["data"]
    return data


@pytest.mark.parametrize("part", PARTS)
def test_there_are_two_and_one_of_them_stays_when_nodes_are_drained(part: str) -> None:
    workload = find(render(NAME), "Deployment", f"airflow-{part}")
    assert workload["spec"]["replicas"] == 2
    (budget,) = [
        d
        for d in render(NAME)
        if d["kind"] == "PodDisruptionBudget" and d["spec"]["selector"]["matchLabels"].get("component") == part
    ]
    assert budget["spec"]["maxUnavailable"] == 1


def test_no_volume_ties_pods_to_a_node() -> None:
    documents = render(NAME)
    assert [title(d) for d in documents if d["kind"] in {"PersistentVolumeClaim", "StatefulSet"}] == []
    affinities = [pod.get("affinity") or {} for d in documents for _, pod in pods(d)]
    assert not any(
        (one.get("podAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") for one in affinities
    )


def test_logs_of_tasks_are_kept_in_the_store_by_those_who_may() -> None:
    assert settings()["AIRFLOW__TIDEGATE__LOGS_URL"] == "s3://example-tidegate-logs/tasks"
    assert settings()["AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS"] == "tidegate.airflow.remote_logs.LOGGING"
    for part in ("scheduler", "triggerer", "api-server"):
        account = find(render(NAME), "ServiceAccount", f"airflow-{part}")
        assert "eks.amazonaws.com/role-arn" in account["metadata"]["annotations"]


def test_without_a_place_for_logs_airflow_keeps_its_own_settings() -> None:
    data = find(render("official"), "ConfigMap", "tidegate-airflow")["data"]
    assert "AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS" not in data


def test_the_page_is_reached_by_tls_alone() -> None:
    (ingress,) = [d for d in render(NAME) if d["kind"] == "Ingress"]
    assert ingress["spec"]["tls"] == [{"hosts": ["airflow.example.com"], "secretName": "airflow-tls"}]
    assert settings()["AIRFLOW__API__BASE_URL"] == "https://airflow.example.com"


def test_both_namespaces_have_a_quota() -> None:
    quotas = {
        d["metadata"].get("namespace", "tidegate"): d["spec"]["hard"]
        for d in render(NAME)
        if d["kind"] == "ResourceQuota"
    }
    assert quotas["tidegate-steps"]["pods"] == "200"
    assert quotas["tidegate"]["pods"] == "40"


def test_a_quota_counts_only_what_every_step_says_of_itself() -> None:
    """A pod that says nothing of what a quota counts is refused: steps have no limit of CPU."""
    assert set(find(render(NAME), "ResourceQuota", "steps")["spec"]["hard"]) <= {
        "pods",
        "requests.cpu",
        "requests.memory",
        "limits.memory",
    }


def test_no_secret_is_made_but_for_airflows_own() -> None:
    made = {d["metadata"]["name"] for d in render(NAME) if d["kind"] == "Secret"}
    assert made == {"airflow-admin", "airflow-keys"}


def test_both_databases_are_elsewhere() -> None:
    variables: dict[str, Any] = {
        v["name"]: v["valueFrom"]["secretKeyRef"]["name"]
        for d in render(NAME)
        for _, pod in pods(d)
        for c in containers(pod)
        for v in c.get("env") or []
        if v["name"] in {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW_CONN_ML_AIRFLOW"}
    }
    assert variables == {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "airflow-metadata",
        "AIRFLOW_CONN_ML_AIRFLOW": "ledger",
    }
