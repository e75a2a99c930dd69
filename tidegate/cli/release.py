"""The helm release `tidegate`.

Reads: a staged chart, image references. Writes: the release, in the namespace `tidegate` of one context.
Again: a release that was installed from the same chart and values is left alone; one that a killed helm left pending is
marked as failed, which is what it is, and then upgraded like any other.
"""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING, Any

from tidegate.cli import pods
from tidegate.cli.fault import Fault
from tidegate.cli.kubectl import NAMESPACE, Kubectl
from tidegate.cluster import cache, commands
from tidegate.cluster.errors import ClusterError, CommandFailed
from tidegate.cluster.programs import program
from tidegate.progress import console

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAME = "tidegate"
TIMEOUT = "20m"
"""For the first start of everything on two cores; a few minutes is usual."""
READY_SECONDS = 600.0
HISTORY = 5
"""Revisions that helm keeps."""
DEVCLOUD = {
    "azure_ml_api": "azureMlApi",
    "datalake": "datalake",
    "git_server": "gitServer",
    "weather_api": "weatherApi",
}
"""Image of a stand-in -> its key in the values' `devcloud`."""
STEP_IMAGES_NOT = ("base", "airflow", *DEVCLOUD)
"""Images of the list that are no steps."""


def values(refs: Mapping[str, str]) -> dict[str, Any]:
    """The values that say which images to use; the chart's defaults hold for the rest."""
    repository, tag = refs["airflow"].rsplit(":", 1)
    return {
        "airflow": {"images": {"airflow": {"repository": repository, "tag": tag}}},
        "devcloud": {key: {"image": refs[name]} for name, key in DEVCLOUD.items()},
        "steps": {name: {"image": ref} for name, ref in steps(refs).items()},
    }


def steps(refs: Mapping[str, str]) -> dict[str, str]:
    """Those of the images that are steps."""
    return {name: ref for name, ref in refs.items() if name not in STEP_IMAGES_NOT}


def images(kubectl: Kubectl) -> set[str]:
    """The images of what runs all the time."""
    found = kubectl.items("deployments,statefulsets")
    return {one["image"] for item in found for one in item["spec"]["template"]["spec"]["containers"]}


def install(kubectl: Kubectl, *, chart: Path, refs: Mapping[str, str]) -> bool:
    """Install or upgrade, and wait until everything is ready; False where nothing had to be done.

    Raises:
        Fault: It did not become ready; the text shows the pods that did not, with their last lines.
    """
    with cache.lock("release"):
        return _install(kubectl, chart, json.dumps(values(refs), indent=2, sort_keys=True))


def _install(kubectl: Kubectl, chart: Path, text: str) -> bool:
    mark = f"tidegate {cache.fingerprint(chart, text)}"
    latest = status(kubectl)
    if latest.get("status") == "deployed" and latest.get("description") == mark:
        pods.wait_ready(kubectl, seconds=READY_SECONDS)
        return False
    if latest.get("status", "").startswith("pending"):
        mark_failed(kubectl)
    _helm_upgrade(kubectl, chart, cache.write(cache.root() / "run" / "values.json", text), mark)
    return True


def _helm_upgrade(kubectl: Kubectl, chart: Path, file: Path, mark: str) -> None:
    arguments = ["--install", "--create-namespace", "--wait", "--timeout", TIMEOUT, "--history-max", str(HISTORY)]
    what = [NAME, str(chart), "--values", str(file), "--description", mark]
    command: list[str | Path] = [program("helm"), "upgrade", *arguments, *_over_edits(), *where(kubectl), *what]
    try:
        with pods.watched(kubectl):
            commands.run(command, log="helm-upgrade")
    except CommandFailed as error:
        msg = f"{error}\n{pods.explained(kubectl)}"
        raise Fault(msg) from error


def _over_edits() -> list[str]:
    """What makes helm take back what somebody changed by `kubectl edit`: helm 4 refuses, helm 3 does so unasked."""
    flag = "--force-conflicts"
    return [flag] if flag in commands.output([program("helm"), "upgrade", "--help"]) else []


def where(kubectl: Kubectl) -> list[str]:
    """Arguments of helm for the context and the namespace."""
    return ["--kube-context", kubectl.context, "--namespace", NAMESPACE]


def status(kubectl: Kubectl) -> dict[str, str]:
    """What helm calls `info` of the newest revision: `status`, `description`; empty where there is no release."""
    try:
        answer = commands.output([program("helm"), "status", NAME, *where(kubectl), "--output", "json"])
    except CommandFailed as error:
        if "not found" in str(error):
            return {}
        raise
    info: dict[str, str] = json.loads(answer)["info"]
    return info


def mark_failed(kubectl: Kubectl) -> None:
    """Turn revisions that say `pending-*` into failed ones: helm refuses to touch a release while one is pending.

    helm keeps a revision as JSON, gzipped and encoded twice, in a Secret whose label `status` repeats its state.
    """
    for secret in kubectl.items("secrets", "--selector", f"owner=helm,name={NAME}"):
        labels = secret["metadata"]["labels"]
        if not labels["status"].startswith("pending"):
            continue
        console.print(
            f"  revision {labels['version']} was left {labels['status']} by a helm that was killed", markup=False
        )
        fresh = restated(secret, status="failed", description="killed while it was being installed")
        kubectl.text("replace", "--filename", "-", stdin=json.dumps(fresh))


def restated(secret: dict[str, Any], *, status: str, description: str) -> dict[str, Any]:
    """The same helm revision in another state; a new object."""
    record = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    record["info"] |= {"status": status, "description": description}
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(record).encode()))).decode()
    labels = secret["metadata"]["labels"] | {"status": status}
    return secret | {"metadata": secret["metadata"] | {"labels": labels}, "data": {"release": packed}}


def uninstall(kubectl: Kubectl) -> bool:
    """Remove the release, its volumes and both namespaces; False where there was none."""
    try:
        found = bool(status(kubectl))
    except ClusterError:
        return False
    if found:
        commands.run(
            [program("helm"), "uninstall", NAME, *where(kubectl), "--wait", "--timeout", "5m"], log="helm-uninstall"
        )
    kubectl.text("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout", "180s", timeout=200)
    return found
