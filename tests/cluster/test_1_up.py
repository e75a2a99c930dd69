"""`tidegate up` ends with pipelines that have run, on a cluster that nobody else can reach, and keeps its passwords."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster import left
from tidegate.cli import release, state
from tidegate.cli.kubectl import NAMESPACE, STEPS_NAMESPACE
from tidegate.cli.pods import unready
from tidegate.cluster import cache, images

if TYPE_CHECKING:
    from tests.cluster.conftest import Installed
    from tidegate.cli.kubectl import Kubectl

OUR_SERVERS = ("dockerd", "docker-proxy", "containerd", "kubectl", "kind", "versitygw")
LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
LISTEN = "0A"


def test_up_prints_what_ran_and_where_to_look(installed: Installed) -> None:
    wanted = [
        "hello",
        "dedup_people",
        "train_model",
        "upload_model",
        "mae",
        "r2",
        "s3://tidegate/models/petrol/",
        "http://127.0.0.1:8080",
    ]
    assert [word for word in wanted if word not in installed.said] == []
    # a mail has a pod every time; much else is a hit, for a call that was killed has done it
    logs = r"kubectl --context kind-tidegate --namespace tidegate-steps logs [a-z-]+-[0-9a-f]{16}$"
    assert re.search(logs, installed.said, re.MULTILINE), installed.said


def test_airflow_comes_from_the_official_chart(installed: Installed, kubectl: Kubectl) -> None:
    if state.read()["mode"] == "standalone":
        pytest.skip("optional: no copy of the official chart was found, so Airflow runs in one pod")
    charts = {one["metadata"]["labels"].get("chart", "") for one in kubectl.items("deployments,statefulsets")}
    assert "airflow-1.22.0" in charts


def test_everything_is_ready(kubectl: Kubectl, installed: Installed) -> None:
    assert release.status(kubectl)["status"] == "deployed"
    assert unready(kubectl.items("pods")) == {}


def test_images_are_those_of_this_checkout(kubectl: Kubectl, installed: Installed) -> None:
    used = {one["image"] for pod in kubectl.items("pods") for one in pod["spec"]["containers"]}
    refs = images.references()
    assert {refs["airflow"], refs["git_server"]} <= used


def test_steps_run_where_pod_security_restricted_is_enforced(kubectl: Kubectl, installed: Installed) -> None:
    labels = kubectl.read("namespace", STEPS_NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def listening() -> dict[str, str]:
    """Socket inode -> address, of every TCP socket of this machine that listens beyond loopback."""
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    open_sockets = [line for line in lines if line[3] == LISTEN]
    return {line[9]: line[1] for line in open_sockets if line[1].split(":")[0] not in LOOPBACK}


def sockets_of(process: Path) -> set[str]:
    try:
        links = [str(descriptor.readlink()) for descriptor in (process / "fd").iterdir()]
    except OSError:
        return set()
    return {link[8:-1] for link in links if link.startswith("socket:")}


def test_everything_on_this_machine_listens_on_loopback_only(installed: Installed) -> None:
    wide = listening()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        name = (process / "comm").read_text().strip() if (process / "comm").exists() else ""
        if name in OUR_SERVERS:
            found += [f"{name} on {wide[inode]}" for inode in sockets_of(process) & set(wide)]
    assert found == []


def test_the_nodes_ports_are_bound_to_loopback(installed: Installed) -> None:
    form = "{{range $port, $binds := .HostConfig.PortBindings}}{{range $binds}}{{.HostIp}} {{end}}{{end}}"
    command = ["docker", "inspect", "tidegate-control-plane", "--format", form]
    addresses = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert addresses
    assert set(addresses) == {"127.0.0.1"}


def passwords(kubectl: Kubectl) -> dict[str, str]:
    """Every generated secret, by where it stands."""
    wanted = {"airflow-admin": ["password"], "postgresql": ["password"], "git-server": ["password"]}
    wanted |= {"people-postgresql": ["password"], "maildev": ["password"]}
    wanted |= {"versitygw": ["ROOT_SECRET_KEY"], "airflow-keys": ["fernet-key", "api-secret-key", "jwt-secret"]}
    found = {f"{name}.{key}": kubectl.secret(name)[key] for name, keys in wanted.items() for key in keys}
    steps = kubectl.secret("step-train-model", namespace=STEPS_NAMESPACE)
    return found | {"step-train-model": steps["AWS_SECRET_ACCESS_KEY"]}


def holders(text: str, secrets: dict[str, str]) -> list[str]:
    return [name for name, secret in secrets.items() if secret in text]


def test_secrets_are_long_and_differ(kubectl: Kubectl, installed: Installed) -> None:
    found = list(passwords(kubectl).values())
    assert len(set(found)) == len(found)
    assert min(map(len, found)) >= 32


def test_no_secret_is_printed_or_kept_in_a_file(kubectl: Kubectl, installed: Installed) -> None:
    secrets = passwords(kubectl)
    assert holders(installed.said, secrets) == []
    for folder in (cache.root() / "run", Path(__file__).resolve().parents[2] / "build"):
        for path in (one for one in folder.rglob("*") if one.is_file()):
            assert holders(path.read_text(errors="replace"), secrets) == [], path


@pytest.mark.parametrize("namespace", [NAMESPACE, STEPS_NAMESPACE])
def test_no_secret_stands_in_a_pod_a_config_map_or_a_log(
    kubectl: Kubectl, installed: Installed, namespace: str
) -> None:
    secrets = passwords(kubectl)
    objects = kubectl.text("get", "pods,configmaps,jobs,events", "--namespace", namespace, "-o", "json")
    assert holders(objects, secrets) == []
    printed = left.logs(kubectl, namespace)
    assert any(where.startswith("pod/") for where in printed)
    for where, text in printed.items():
        assert holders(text, secrets) == [], where
