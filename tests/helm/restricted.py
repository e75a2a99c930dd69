"""Pod Security Standards, profile `restricted`, as Kubernetes 1.34 enforces it, for every pod found by walking.

`violations(document)` gives one line for each rule that a container or its pod breaks; none means admission lets it in.
The rules: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
"""Kinds of volumes a restricted pod may have."""

SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
}

SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}

POD_TEMPLATE = "pod_template_file.yaml"
"""From which the KubernetesExecutor makes its pods."""

KINDS = ("initContainers", "containers", "ephemeralContainers")


def pods(node: object, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pod spec below `node`, with its path: whatever has a list `containers`, in a ConfigMap's file too."""
    if isinstance(node, dict):
        if isinstance(node.get("containers"), list):
            yield path, node
        for key, value in node.items():
            found = yaml.safe_load(value) if key == POD_TEMPLATE and isinstance(value, str) else value
            yield from pods(found, f"{path}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from pods(value, f"{path}[{index}]")


def containers(pod: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every container of a pod spec, whatever its kind."""
    for kind in KINDS:
        yield from pod.get(kind) or []


def violations(document: dict[str, Any]) -> list[str]:
    """What breaks the profile in a manifest, a pod spec's owner or a bare pod spec."""
    found = []
    for path, pod in pods(document):
        found += [f"{path}: {fault}" for fault in pod_faults(pod)]
        for container in containers(pod):
            found += [f"{path} container {container['name']}: {fault}" for fault in container_faults(container, pod)]
    return found


def pod_faults(pod: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the pod itself."""
    context = pod.get("securityContext") or {}
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            yield f"{key} is set"
    for volume in pod.get("volumes") or []:
        for kind in set(volume) - {"name"} - VOLUMES:
            yield f"volume {volume['name']} is a {kind}"
    for sysctl in context.get("sysctls") or []:
        if sysctl["name"] not in SYSCTLS:
            yield f"sysctl {sysctl['name']}"
    yield from _context_faults(context)


def container_faults(container: dict[str, Any], pod: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one container, given what its pod says for all."""
    own = container.get("securityContext") or {}
    both = {**(pod.get("securityContext") or {}), **own}
    capabilities = own.get("capabilities") or {}
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if both.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    if (both.get("seccompProfile") or {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        yield "seccompProfile is neither RuntimeDefault nor Localhost"
    if "ALL" not in (capabilities.get("drop") or []):
        yield "capabilities do not drop ALL"
    for capability in set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}:
        yield f"capability {capability} is added"
    yield from _host_faults(container)
    yield from _context_faults(own)


def _host_faults(container: dict[str, Any]) -> Iterator[str]:
    """What reaches for the node."""
    own = container.get("securityContext") or {}
    if own.get("privileged"):
        yield "privileged"
    if own.get("procMount", "Default") != "Default":
        yield f"procMount {own['procMount']}"
    for port in container.get("ports") or []:
        if port.get("hostPort"):
            yield f"hostPort {port['hostPort']}"
    hooks = (container.get("lifecycle") or {}).values()
    probes = [container.get(name) or {} for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    for action in [*hooks, *probes]:
        for kind in ("httpGet", "tcpSocket"):
            if (action.get(kind) or {}).get("host"):
                yield f"{kind} names a host"


def _context_faults(context: dict[str, Any]) -> Iterator[str]:
    """What a security context may not say, be it the pod's or a container's."""
    if context.get("runAsUser") == 0:
        yield "runAsUser is 0"
    if context.get("runAsNonRoot") is False:
        yield "runAsNonRoot is false"
    if (context.get("seccompProfile") or {}).get("type") == "Unconfined":
        yield "seccompProfile is Unconfined"
    if (context.get("appArmorProfile") or {}).get("type") == "Unconfined":
        yield "appArmorProfile is Unconfined"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield "seLinuxOptions"
