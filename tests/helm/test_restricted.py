"""Every container of every render passes Pod Security `restricted`; and the check itself finds what does not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.helm.renders import MIRROR, REFS, RENDERS, render, title
from tests.helm.restricted import containers, pods, violations

GOOD: dict[str, Any] = {
    "spec": {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "initContainers": [],
        "containers": [
            {"name": "c", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
        ],
    }
}


@pytest.mark.parametrize("name", RENDERS)
def test_every_container_passes_restricted(name: str) -> None:
    found = {title(d): violations(d) for d in render(name)}
    assert {where: faults for where, faults in found.items() if faults} == {}


@pytest.mark.parametrize("name", RENDERS)
def test_the_walk_finds_every_workload(name: str) -> None:
    workloads = [d for d in render(name) if d["kind"] in {"Deployment", "StatefulSet", "Job", "CronJob", "DaemonSet"}]
    assert len(workloads) >= 2
    assert all(len(list(pods(d))) == 1 for d in workloads)


@pytest.mark.parametrize("name", RENDERS)
def test_only_airflow_and_its_fetcher_write_to_their_root(name: str) -> None:
    """Airflow writes below its home, git-sync its own user's line; everything else has a root that nobody writes to."""
    for document in render(name):
        for _, pod in pods(document):
            for container in containers(pod):
                if not (container.get("securityContext") or {}).get("readOnlyRootFilesystem"):
                    image = container["image"].removeprefix(f"{MIRROR}/")
                    assert image.startswith((REFS["airflow"], "registry.k8s.io/git-sync/", "git-sync/")), title(
                        document
                    )


def test_a_good_pod_has_no_violation() -> None:
    assert violations(GOOD) == []


POD_FAULTS = {
    "hostNetwork": {"hostNetwork": True},
    "hostPID": {"hostPID": True},
    "hostIPC": {"hostIPC": True},
    "hostPath": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
    "nfs": {"volumes": [{"name": "v", "nfs": {"server": "s", "path": "/"}}]},
    "no seccomp": {"securityContext": {"runAsNonRoot": True}},
    "unconfined": {"securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "Unconfined"}}},
    "may be root": {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}},
    "is root": {"securityContext": {**GOOD["spec"]["securityContext"], "runAsUser": 0}},
    "sysctl": {"securityContext": {**GOOD["spec"]["securityContext"], "sysctls": [{"name": "kernel.msgmax"}]}},
}
CONTAINER_FAULTS = {
    "no context": {"securityContext": {}},
    "privileged": {"privileged": True},
    "escalation": {"allowPrivilegeEscalation": True},
    "adds a capability": {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}},
    "keeps capabilities": {"capabilities": {"drop": ["NET_RAW"]}},
    "root again": {"runAsUser": 0},
    "not non-root": {"runAsNonRoot": False},
    "unconfined again": {"seccompProfile": {"type": "Unconfined"}},
    "proc": {"procMount": "Unmasked"},
    "selinux": {"seLinuxOptions": {"type": "spc_t"}},
}


@pytest.mark.parametrize("fault", POD_FAULTS)
def test_a_bad_pod_is_found(fault: str) -> None:
    assert violations({"spec": {**GOOD["spec"], **POD_FAULTS[fault]}})


@pytest.mark.parametrize("kind", ["initContainers", "containers", "ephemeralContainers"])
@pytest.mark.parametrize("fault", CONTAINER_FAULTS)
def test_a_bad_container_is_found_whatever_its_kind(fault: str, kind: str) -> None:
    bad: dict[str, Any] = copy.deepcopy(GOOD)
    container = copy.deepcopy(GOOD["spec"]["containers"][0])
    container["securityContext"] = {**container["securityContext"], **CONTAINER_FAULTS[fault]}
    if fault == "no context":
        container["securityContext"] = {}
    bad["spec"].setdefault(kind, []).append(container)
    assert violations(bad)


@pytest.mark.parametrize("extra", [{"ports": [{"hostPort": 80}]}, {"livenessProbe": {"httpGet": {"host": "h"}}}])
def test_what_reaches_for_the_node_is_found(extra: dict[str, Any]) -> None:
    bad = copy.deepcopy(GOOD)
    bad["spec"]["containers"][0] |= extra
    assert violations(bad)


def test_a_pod_deep_in_a_list_is_found() -> None:
    bad = {"items": [{"spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "c"}]}}}}}}]}
    assert len(list(pods(bad))) == 1
    assert [c["name"] for _, pod in pods(bad) for c in containers(pod)] == ["c"]
    assert violations(bad)
