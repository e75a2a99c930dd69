"""kubeconform, strict, with Kubernetes 1.34's own schemas, accepts every render; and it refuses what is wrong.

It is started once for all: it reads each schema anew in every process.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.helm import schemas
from tests.helm.renders import AIRFLOW_CHART, RENDERS, render, text
from tidegate.cluster.programs import program

if TYPE_CHECKING:
    from pathlib import Path

Verdicts = dict[str, list[dict[str, Any]]]
"""By file: what was said of each of its documents."""

GOOD = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}
BAD = {
    "a misspelt key": {**GOOD, "spec": {"portz": []}},
    "a wrong type": {**GOOD, "spec": {"ports": [{"port": "eighty"}]}},
    "a missing key": {**GOOD, "spec": {"ports": [{"name": "http"}]}},
    "an unknown kind": {**GOOD, "kind": "Servise"},
    "an old version": {**GOOD, "apiVersion": "extensions/v1beta1"},
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    """Of every render that can be had here, and of the examples."""
    folder = tmp_path_factory.mktemp("manifests")
    for name, document in {"good": GOOD, **BAD}.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))
    for name in RENDERS:
        if not name.startswith("official") or AIRFLOW_CHART:
            (folder / f"{name}.yaml").write_text(text(name))
    return kubeconform(sorted(folder.iterdir()))


def kubeconform(files: list[Path]) -> Verdicts:
    """One run over all of them."""
    where = f"{schemas.folder()}/{schemas.LOCATION}"
    command = [program("kubeconform"), "-strict", "-verbose", "-output", "json", "-schema-location", where, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    said = [one for one in json.loads(done.stdout)["resources"] if one["status"]]  # of mere comments there is none
    return {path.stem: [one for one in said if one["filename"] == str(path)] for path in files}


@pytest.mark.parametrize("name", RENDERS)
def test_kubernetes_accepts_every_document(verdicts: Verdicts, name: str) -> None:
    documents = render(name)
    said = verdicts[name]
    assert [one for one in said if one["status"] != "statusValid"] == []
    assert len(said) == len(documents)


def test_the_check_accepts_what_is_right(verdicts: Verdicts) -> None:
    assert [one["status"] for one in verdicts["good"]] == ["statusValid"]


@pytest.mark.parametrize("what", BAD)
def test_the_check_refuses(verdicts: Verdicts, what: str) -> None:
    (said,) = verdicts[what]
    assert said["status"] in {"statusInvalid", "statusError"}
