"""kubeconform, strict, with Kubernetes 1.34's own schemas, accepts every render; and it refuses what is wrong."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from tests.helm import schemas
from tests.helm.renders import RENDERS, render, text
from tidegate.cluster.programs import program


def kubeconform(manifest: str) -> subprocess.CompletedProcess[str]:
    where = f"{schemas.folder()}/{schemas.LOCATION}"
    command = [str(program("kubeconform")), "-strict", "-summary", "-schema-location", where, "-"]
    return subprocess.run(command, input=manifest, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", RENDERS)
def test_kubernetes_accepts_every_document(name: str) -> None:
    done = kubeconform(text(name))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Valid: {len(render(name))}, Invalid: 0, Errors: 0, Skipped: 0" in done.stdout


GOOD = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}
BAD = {
    "a misspelt key": {**GOOD, "spec": {"portz": []}},
    "a wrong type": {**GOOD, "spec": {"ports": [{"port": "eighty"}]}},
    "a missing key": {**GOOD, "spec": {"ports": [{"name": "http"}]}},
    "an unknown kind": {**GOOD, "kind": "Servise"},
    "an old version": {**GOOD, "apiVersion": "extensions/v1beta1"},
}


def test_the_check_accepts_what_is_right() -> None:
    assert kubeconform(yaml.safe_dump(GOOD)).returncode == 0


@pytest.mark.parametrize("what", BAD)
def test_the_check_refuses(what: str) -> None:
    assert kubeconform(yaml.safe_dump(BAD[what])).returncode != 0
