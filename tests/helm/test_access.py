"""Who may do what: one Role in one namespace, tokens only where they are used, and network rules that fit the pods."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helm.renders import RENDERS, find, render, title
from tests.helm.restricted import pods
from tidegate.cluster.project import ROOT

FILES = [path for pattern in ("*.py", "*/*.py") for path in (ROOT / "dags").glob(pattern)]
DAGS = sorted(path.stem.lower().replace("_", "-") for path in FILES)
STEPS = sorted(path.stem for path in (ROOT / "jobs").iterdir() if not path.name.startswith("_"))
AIRFLOW_RULES = {
    ("pods", ("create", "delete", "get", "list", "patch", "watch"), ()),
    ("pods/log", ("get",), ()),
    ("events", ("list",), ()),
    ("configmaps", ("get",), ("tidegate-steps",)),
    ("secrets", ("create", "delete"), ()),
}
WITH_WORKERS = ("official-celery", "official-kubernetes")


@pytest.mark.parametrize("name", RENDERS)
def test_airflow_manages_pods_of_steps_and_nothing_else(name: str) -> None:
    roles = [d for d in render(name) if d["kind"] in {"Role", "ClusterRole"}]
    executors = [("Role", "tidegate")] if name == "official-kubernetes" else []
    assert [(d["kind"], d["metadata"]["namespace"]) for d in roles] == [*executors, ("Role", "tidegate-steps")]
    rules = roles[-1]["rules"]
    assert all(rule["apiGroups"] == [""] and len(rule["resources"]) == 1 for rule in rules)
    found = {(r["resources"][0], tuple(sorted(r["verbs"])), tuple(r.get("resourceNames", ()))) for r in rules}
    assert found == AIRFLOW_RULES


@pytest.mark.parametrize("name", RENDERS)
def test_the_role_goes_to_those_who_start_and_watch_pods(name: str) -> None:
    bindings = [d for d in render(name) if d["kind"] in {"RoleBinding", "ClusterRoleBinding"}]
    executors = ["tidegate"] if name == "official-kubernetes" else []
    assert [d["metadata"]["namespace"] for d in bindings] == [*executors, "tidegate-steps"]
    wanted = {"airflow-standalone"} if name.startswith("standalone") else {"airflow-scheduler", "airflow-triggerer"}
    wanted = {*wanted, "tidegate-reconcile"} | ({"airflow-worker"} if name in WITH_WORKERS else set())
    assert {s["name"] for s in bindings[-1]["subjects"]} == wanted
    accounts = {d["metadata"]["name"] for d in render(name) if d["kind"] == "ServiceAccount"}
    assert wanted <= accounts


@pytest.mark.parametrize("name", RENDERS)
def test_only_those_carry_a_token(name: str) -> None:
    documents = render(name)
    bound = {s["name"] for s in find(documents, "RoleBinding", "tidegate-airflow")["subjects"]}
    assert {title(d) for d in documents for _, pod in pods(d) if _has_token(pod, documents)} == {
        title(d) for d in documents for _, pod in pods(d) if pod.get("serviceAccountName") in bound
    }


def _has_token(pod: dict[str, Any], documents: list[dict[str, Any]]) -> bool:
    """A pod's own word counts, then its account's, and silence means yes."""
    name = pod.get("serviceAccountName", "default")
    account = next((d for d in documents if (d["kind"], d["metadata"]["name"]) == ("ServiceAccount", name)), {})
    said = pod.get("automountServiceAccountToken", account.get("automountServiceAccountToken"))
    return said is not False


@pytest.mark.parametrize("name", RENDERS)
def test_every_pipeline_has_an_account_without_a_token(name: str) -> None:
    accounts = [
        d for d in render(name) if d["kind"] == "ServiceAccount" and d["metadata"]["name"].startswith("pipeline-")
    ]
    assert {d["metadata"]["name"] for d in accounts} == {f"pipeline-{dag}" for dag in DAGS}
    assert all(d["metadata"]["namespace"] == "tidegate-steps" for d in accounts)
    assert all(d["automountServiceAccountToken"] is False for d in accounts)


@pytest.mark.parametrize("name", RENDERS)
def test_the_steps_namespace_enforces_restricted(name: str) -> None:
    labels = find(render(name), "Namespace", "tidegate-steps")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


CLOSED = [name for name in RENDERS if not name.endswith("-without-policies")]


@pytest.mark.parametrize("name", sorted(set(RENDERS) - set(CLOSED)))
def test_without_policies_there_is_none(name: str) -> None:
    assert [title(d) for d in render(name) if d["kind"] == "NetworkPolicy"] == []


@pytest.mark.parametrize("name", CLOSED)
def test_steps_are_closed_but_for_their_own_rule(name: str) -> None:
    documents = render(name)
    deny = find(documents, "NetworkPolicy", "steps-deny-all")
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for step in STEPS:
        policy = find(documents, "NetworkPolicy", f"step-{step.replace('_', '-')}")
        assert policy["spec"]["podSelector"] == {"matchLabels": {"tidegate.dev/step": step}}
        assert policy["spec"]["policyTypes"] == ["Egress"]
        assert all(rule.get("ports") for rule in policy["spec"]["egress"])


@pytest.mark.parametrize("name", CLOSED)
def test_every_pod_in_the_release_is_closed_to_strangers(name: str) -> None:
    """But for the bucket's Job, which listens on nothing."""
    documents = render(name)
    policies = [d for d in documents if d["kind"] == "NetworkPolicy" and "namespace" not in d["metadata"]]
    for document in documents:
        template = (document.get("spec") or {}).get("template")
        if document["kind"] in {"Deployment", "StatefulSet", "Job"} and "devcloud-bucket" not in title(document):
            labels = template["metadata"]["labels"]
            guards = [p for p in policies if _selects(p["spec"]["podSelector"], labels)]
            assert any("Ingress" in p["spec"]["policyTypes"] for p in guards), title(document)


@pytest.mark.parametrize("name", CLOSED)
def test_airflow_reaches_its_database_its_api_and_its_pipelines(name: str) -> None:
    documents = render(name)
    airflow = [d for d in documents if d["kind"] in {"Deployment", "StatefulSet", "Job"} and _is_airflow(d)]
    assert airflow
    targets = {"postgresql", "git-server", "airflow-api-server"} & {d["metadata"]["name"] for d in documents}
    for target in targets:
        policy = find(documents, "NetworkPolicy", target)
        peers = [peer for rule in policy["spec"]["ingress"] for peer in rule["from"]]
        selectors = [peer["podSelector"] for peer in peers if "podSelector" in peer]
        for document in airflow:
            labels = document["spec"]["template"]["metadata"]["labels"]
            assert any(_selects(selector, labels) for selector in selectors), f"{title(document)} -x-> {target}"


def _is_airflow(document: dict[str, Any]) -> bool:
    labels: dict[str, str] = document["spec"]["template"]["metadata"]["labels"]
    return labels.get("tier") == "airflow"


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector, of the two forms used here, takes these labels."""
    exact = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    listed = all(labels.get(e["key"]) in e["values"] for e in selector.get("matchExpressions", []))
    return exact and listed
