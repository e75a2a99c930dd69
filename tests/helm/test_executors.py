"""The other two executors: workers that wait for tasks, and a pod for each task; steps run as ever."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml

from tests.helm.renders import REFS, find, render
from tests.helm.restricted import POD_TEMPLATE, containers, pods, violations


def pod_template() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(
        find(render("official-kubernetes"), "ConfigMap", "airflow-config")["data"][POD_TEMPLATE]
    )
    return found


@pytest.mark.parametrize(
    ("name", "executor"),
    [
        ("official", "LocalExecutor"),
        ("official-celery", "CeleryExecutor"),
        ("official-kubernetes", "KubernetesExecutor"),
    ],
)
def test_airflow_is_told_its_executor(name: str, executor: str) -> None:
    assert find(render(name), "ConfigMap", "tidegate-airflow")["data"]["AIRFLOW__CORE__EXECUTOR"] == executor


def test_celerys_workers_are_ours_and_know_the_broker() -> None:
    worker = find(render("official-celery"), "Deployment", "airflow-worker")
    assert worker["spec"]["replicas"] == 2
    pod = worker["spec"]["template"]["spec"]
    assert {c["image"] for c in containers(pod)} == {REFS["airflow"], "registry.k8s.io/git-sync/git-sync:v4.4.2"}
    (main,) = [c for c in pod["containers"] if c["name"] == "worker"]
    secrets = {v["name"]: v["valueFrom"]["secretKeyRef"] for v in main["env"] if "valueFrom" in v}
    assert secrets["AIRFLOW__CELERY__BROKER_URL"] == {"name": "airflow-broker", "key": "connection"}
    assert {"configMapRef": {"name": "tidegate-airflow"}} in main["envFrom"]


def test_the_broker_has_the_password_that_its_url_has() -> None:
    documents = render("official-celery")
    secret = find(documents, "Secret", "airflow-broker")
    data = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    assert data["connection"] == f"redis://:{data['password']}@airflow-redis:6379/0"
    assert secret["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    redis = find(documents, "StatefulSet", "airflow-redis")["spec"]["template"]["spec"]["containers"][0]
    assert redis["env"][0]["valueFrom"]["secretKeyRef"] == {"name": "airflow-broker", "key": "password"}
    assert find(documents, "Service", "airflow-redis")["spec"]["ports"][0]["port"] == 6379


def test_only_who_has_tasks_to_hand_over_reaches_the_broker() -> None:
    policy = find(render("official-celery"), "NetworkPolicy", "airflow-redis")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in policy
    (rule,) = policy["ingress"]
    assert rule["ports"] == [{"port": 6379, "protocol": "TCP"}]
    assert rule["from"][0]["podSelector"]["matchExpressions"][0]["values"] == ["scheduler", "worker"]


@pytest.mark.parametrize("name", ["official", "official-kubernetes", "official-production"])
def test_without_celery_there_is_no_broker(name: str) -> None:
    assert [d for d in render(name) if d["metadata"]["name"] in {"airflow-redis", "airflow-broker"}] == []


def test_the_pod_of_a_task_passes_restricted_and_runs_our_image() -> None:
    template = pod_template()
    assert violations(template) == []
    (pod,) = [pod for _, pod in pods(template)]
    (main,) = pod["containers"]
    assert (main["name"], main["image"]) == ("base", REFS["airflow"])
    assert main["resources"]["limits"]["memory"] == "1Gi"
    assert {"name": "tidegate-airflow"} in [source.get("configMapRef") for source in main["envFrom"]]
    config = find(render("official-kubernetes"), "ConfigMap", "airflow-config")["data"]["airflow.cfg"]
    assert "worker_container_repository = \n" in config, "an image there would win over the template's"


def test_the_scheduler_alone_makes_pods_beside_airflow_and_opens_none() -> None:
    documents = render("official-kubernetes")
    role = find(documents, "Role", "airflow-executor")
    assert role["metadata"]["namespace"] == "tidegate"
    assert {(rule["resources"][0], tuple(sorted(rule["verbs"]))) for rule in role["rules"]} == {
        ("pods", ("create", "delete", "get", "list", "patch", "watch")),
        ("pods/log", ("get",)),
    }
    binding = find(documents, "RoleBinding", "airflow-executor")
    assert [(s["name"], s["namespace"]) for s in binding["subjects"]] == [("airflow-scheduler", "tidegate")]
