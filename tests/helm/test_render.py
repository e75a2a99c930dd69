"""What every render keeps: equal twice, no secret in sight, resources, cheap probes, no hooks, one registry."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from tests.helm.renders import KUBE_VERSION, RENDERS, helm, render, staged, template, text, title
from tests.helm.restricted import containers, pods

UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
CORES = 1.0
"""A kind node has two, and Kubernetes itself asks for 0.85 of them."""


@pytest.mark.parametrize("name", RENDERS)
def test_helm_lint_finds_nothing(name: str) -> None:
    done = helm("lint", staged(name), "--strict", "--kube-version", KUBE_VERSION, "--values", "-", values=RENDERS[name])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["official", "official-production", "standalone"])
def test_the_same_values_render_the_same(name: str) -> None:
    """Secrets aside: without a cluster there is nothing to keep, so they are drawn anew."""
    first, second = text(name), template(staged(name), RENDERS[name], anew="a second time").stdout
    assert _without_secrets(first) == _without_secrets(second)


def _without_secrets(rendered: str) -> list[str]:
    return [part for part in re.split(r"^---$", rendered, flags=re.MULTILINE) if "\nkind: Secret" not in part]


@pytest.mark.parametrize("name", RENDERS)
def test_no_secret_stands_outside_its_secret(name: str) -> None:
    documents = render(name)
    secrets = [value for d in documents if d["kind"] == "Secret" for value in _secret_values(d)]
    others = "\n".join(json.dumps(d) for d in documents if d["kind"] != "Secret")
    assert len(secrets) >= 4
    assert [value for value in secrets if value in others or base64.b64encode(value.encode()).decode() in others] == []


def _secret_values(secret: dict[str, Any]) -> list[str]:
    """Every generated word of a Secret: 32 letters and more, in whatever it is wrapped."""
    plain = [base64.b64decode(value).decode() for value in secret.get("data", {}).values()]
    return [word for value in plain for word in re.findall(r"[A-Za-z0-9_=-]{32,}", value)]


@pytest.mark.parametrize("name", RENDERS)
def test_no_environment_variable_holds_a_password(name: str) -> None:
    for document in render(name):
        for _, pod in pods(document):
            for container in containers(pod):
                for variable in container.get("env") or []:
                    if re.search(
                        r"PASS|SECRET|TOKEN|FERNET|SQL_ALCHEMY_CONN|DATABASE_URL|AIRFLOW_CONN_", variable["name"]
                    ):
                        assert "valueFrom" in variable, f"{title(document)} {container['name']} {variable['name']}"


@pytest.mark.parametrize("name", RENDERS)
def test_every_container_says_what_it_needs(name: str) -> None:
    missing = []
    for document in render(name):
        for _, pod in pods(document):
            for container in containers(pod):
                resources = container.get("resources") or {}
                asked = {*resources.get("requests", {}), *(f"limit {k}" for k in resources.get("limits", {}))}
                if not asked >= {"cpu", "memory", "limit memory"}:
                    missing.append(f"{title(document)} {container['name']}: {sorted(asked)}")
    assert missing == []


@pytest.mark.parametrize("name", ["official", "standalone"])
def test_everything_fits_a_node_with_two_cores(name: str) -> None:
    asked = [_asked(pod) for document in render(name) for _, pod in pods(document)]
    assert sum(cores for cores, _ in asked) < CORES
    assert sum(memory for _, memory in asked) < 4 * UNITS["Gi"]


def _asked(pod: dict[str, Any]) -> tuple[float, float]:
    """Cores and bytes a pod asks for: its containers together, or the hungriest of those that run before."""
    together = [_requests(c) for c in pod["containers"]]
    before = [_requests(c) for c in pod.get("initContainers") or []]
    return tuple(max([sum(r[i] for r in together), *(r[i] for r in before)]) for i in range(2))  # type: ignore[return-value]


def _requests(container: dict[str, Any]) -> tuple[float, float]:
    requests = container["resources"]["requests"]
    cpu, memory = str(requests["cpu"]), str(requests["memory"])
    cores = float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
    return cores, float(memory[:-2]) * UNITS[memory[-2:]]


@pytest.mark.parametrize("name", RENDERS)
def test_no_probe_imports_airflow(name: str) -> None:
    """Each `airflow jobs check` costs five CPU seconds; several of them starve a node with two cores."""
    for document in render(name):
        for _, pod in pods(document):
            for container in containers(pod):
                for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
                    command = ((container.get(probe) or {}).get("exec") or {}).get("command") or []
                    assert "airflow" not in " ".join(command), f"{title(document)} {container['name']} {probe}"


@pytest.mark.parametrize("name", RENDERS)
def test_no_hook_can_hold_up_an_install(name: str) -> None:
    annotations = {title(d): d["metadata"].get("annotations") or {} for d in render(name)}
    assert [where for where, keys in annotations.items() if "helm.sh/hook" in keys] == []


@pytest.mark.parametrize("name", RENDERS)
def test_everything_that_is_referred_to_is_there(name: str) -> None:
    """A ConfigMap, Secret or service account that nobody makes would hold a pod back for ever."""
    documents = render(name)
    there = {(d["kind"], d["metadata"]["name"]) for d in documents}
    elsewhere = ("StatefulSet", "postgresql") not in there
    outside = {("Secret", name) for name in ("airflow-metadata", "ledger")} if elsewhere else set()
    assert _references(documents) - there - outside - {("ServiceAccount", "default")} == set()


def _references(documents: list[dict[str, Any]]) -> set[tuple[str, str]]:
    found = set()
    for document in documents:
        for _, pod in pods(document):
            found.add(("ServiceAccount", pod.get("serviceAccountName", "default")))
            for volume in pod.get("volumes") or []:
                found |= {("ConfigMap", volume["configMap"]["name"])} if "configMap" in volume else set()
                found |= {("Secret", volume["secret"]["secretName"])} if "secret" in volume else set()
            for container in containers(pod):
                found |= _environment(container)
    return found


def _environment(container: dict[str, Any]) -> set[tuple[str, str]]:
    refs = {"ConfigMap": ("configMapRef", "configMapKeyRef"), "Secret": ("secretRef", "secretKeyRef")}
    kinds = {ref: kind for kind, names in refs.items() for ref in names}
    sources = [*(container.get("envFrom") or []), *(v.get("valueFrom") or {} for v in container.get("env") or [])]
    return {(kinds[key], value["name"]) for source in sources for key, value in source.items() if key in kinds}
