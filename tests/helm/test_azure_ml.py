"""Azure Machine Learning in the chart: the step's own settings, and the stand-in for development."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from tests.helm.renders import ELSEWHERE, find, render, rendered

if TYPE_CHECKING:
    from tests.helm.renders import Documents

HOSTS = ["azure-ml-api.tidegate.svc", "azureml.blob.tidegate.svc"]


def keys(documents: Documents) -> dict[str, str]:
    data = find(documents, "Secret", "azure-ml-api")["data"]
    return {name: base64.b64decode(text).decode() for name, text in data.items()}


def container(documents: Documents, name: str) -> dict[str, Any]:
    spec = find(documents, "Deployment", "azure-ml-api")["spec"]["template"]["spec"]
    (found,) = [one for one in spec["containers"] if one["name"] == name]
    return dict(found)


def told(documents: Documents, name: str = "azure-ml-api") -> dict[str, Any]:
    return {one["name"]: one.get("value") for one in container(documents, name)["env"]}


def test_the_step_is_told_when_its_task_is_stopped_and_never_reuses_a_result() -> None:
    entry = json.loads(find(render("standalone"), "ConfigMap", "tidegate-steps")["data"]["azure_ml"])
    assert entry["cancel_notice"] is True
    assert entry["ledger"]["reuse"] is False
    other = json.loads(find(render("standalone"), "ConfigMap", "tidegate-steps")["data"]["hello"])
    assert other["cancel_notice"] is False


def test_the_certificate_is_for_both_names_and_of_the_authority_that_is_handed_out() -> None:
    found = keys(render("standalone"))
    certificate = x509.load_pem_x509_certificate(found["tls.crt"].encode())
    authority = x509.load_pem_x509_certificate(found["ca.crt"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == HOSTS
    certificate.verify_directly_issued_by(authority)
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_its_addresses_are_those_of_its_services() -> None:
    documents = render("standalone")
    variables = told(documents)
    assert variables["AZURE_ML_API_URL"] == f"https://{HOSTS[0]}:8443"
    pod = find(documents, "Deployment", "azure-ml-api")["spec"]["template"]["spec"]
    store = find(documents, "Service", pod["subdomain"])
    assert store["spec"]["clusterIP"] == "None", "only a headless Service gives its pods names"
    made = f"{pod['hostname']}.{pod['subdomain']}.{variables['AZURE_ML_API_STORAGE_SUFFIX']}"
    assert made == f"{HOSTS[1]}:8443"
    assert pod["hostname"] == variables["AZURITE_ACCOUNT"]
    services = [find(documents, "Service", name) for name in ("azure-ml-api", "blob")]
    assert {port["port"] for service in services for port in service["spec"]["ports"]} == {8443}


def test_azurite_and_faults_are_reached_from_within_the_pod_only() -> None:
    documents = render("standalone")
    assert told(documents)["AZURE_ML_API_ADMIN"].startswith("127.0.0.1:")
    command = container(documents, "azurite")["command"]
    assert command[command.index("--blobHost") + 1] == "127.0.0.1"


def test_its_secrets_stand_in_its_secret_alone() -> None:
    documents = render("standalone")
    found = keys(documents)
    for name in ("AZURE_ML_API_CLIENT_SECRET", "AZURITE_KEY"):
        encoded = base64.b64encode(found[name].encode()).decode()
        holders = {(d["kind"], d["metadata"]["name"]) for d in documents if found[name] in str(d) or encoded in str(d)}
        assert holders == {("Secret", "azure-ml-api")}


def test_who_reaches_it() -> None:
    documents = render("standalone")
    (rule,) = find(documents, "NetworkPolicy", "azure-ml-api")["spec"]["ingress"]
    assert rule["ports"] == [{"port": 8443, "protocol": "TCP"}]
    steps, page = rule["from"]
    assert steps["podSelector"]["matchLabels"] == {"tidegate.dev/step": "azure_ml"}
    assert page["podSelector"]["matchExpressions"][0]["values"] == ["api-server", "standalone"]
    ways = find(documents, "NetworkPolicy", "step-azure-ml")["spec"]["egress"]
    parts = [peer["podSelector"]["matchLabels"] for way in ways for peer in way["to"] if "podSelector" in peer]
    assert [part["app.kubernetes.io/component"] for part in parts] == ["versitygw", "azure-ml-api"]
    others = [d for d in documents if d["kind"] == "NetworkPolicy" and d["metadata"]["name"] == "step-hello"]
    assert "azure-ml-api" not in str(others)


def test_elsewhere_there_is_none() -> None:
    names = [d["metadata"]["name"] for d in rendered(ELSEWHERE)]
    assert [name for name in names if name in {"azure-ml-api", "blob"}] == []


@pytest.mark.parametrize("name", ["official", "standalone"])
def test_a_pipelines_account_has_a_name_that_kubernetes_takes(name: str) -> None:
    accounts = [d["metadata"]["name"] for d in render(name) if d["kind"] == "ServiceAccount"]
    assert "pipeline-aml-pipeline-2subs" in accounts
    assert [account for account in accounts if account != account.lower()] == []
