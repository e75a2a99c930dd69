"""Every way of rendering the chart that is worth looking at, and the rendering itself.

`RENDERS` maps a name to the values laid over the defaults; those that need the official chart begin with `official`.
`render(name)` gives the documents; each combination is rendered once a session.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.kept import said
from tidegate.cli import release
from tidegate.cluster.chart import CHART, find_airflow_chart, merged, stage
from tidegate.cluster.images import listed
from tidegate.cluster.programs import program

if TYPE_CHECKING:
    import subprocess

KUBE_VERSION = "1.34.4"
MIRROR = "registry.example/mirror"
FEW_COLLECTIONS = "400"
"""Go's garbage collector is a third of what helm computes for a chart of this size, and memory is no matter here."""

Values = dict[str, Any]
Documents = list[dict[str, Any]]


def given(file: str) -> Values:
    """The values of a file beside the chart's own."""
    values: Values = yaml.safe_load((CHART / file).read_text())
    return values


REFS = {image.name: f"{image.repository}:{number:012x}" for number, image in enumerate(listed())}
IMAGES: Values = release.values(REFS)
"""What `tidegate images values` prints: nothing is installed without it."""

CELERY = given("values-celery.yaml")
MIRRORED: Values = {"global": {"imageRegistry": MIRROR}}
ALL_OF_THEIRS: Values = {
    "statsd": {"enabled": True},
    "pgbouncer": {"enabled": True},
    "flower": {"enabled": True},
    "otelCollector": {"tracesEnabled": True},
}
"""Everything for which the official chart has an image; for the test of registries alone."""
LEDGER: Values = {
    "name": "AIRFLOW_CONN_ML_AIRFLOW",
    "valueFrom": {"secretKeyRef": {"name": "ledger", "key": "connection"}},
}
OPEN: Values = {"networkPolicies": {"enabled": False}}
ELSEWHERE: Values = {
    "devcloud": {"enabled": False},
    "database": {"enabled": False},
    "stepDefaults": {"egress": [{"ports": [{"port": 443, "protocol": "TCP"}]}]},
    "airflow": {
        "dags": {"gitSync": {"repo": "https://git.example/pipelines.git"}},
        "triggerer": {"env": [LEDGER]},
    },
}
BY_SERVICE: Values = {
    "weather": {"service": {"enabled": True}},
    "services": {"oracle": {"url": "https://oracle.example/ask", "auth": "api_key", "keyIn": "query", "keyName": "k"}},
}
ALONE = given("examples/standalone.yaml")
PRODUCTION = given("values-production.yaml")

OFFICIAL: dict[str, Values] = {
    "official": {},
    "official-without-policies": OPEN,
    "official-mirrored": MIRRORED,
    "official-elsewhere": ELSEWHERE,
    "official-production": PRODUCTION,
    "official-git-dag-bundle": given("examples/git_dag_bundle.yaml"),
    "official-celery": CELERY,
    "official-kubernetes": given("values-kubernetes.yaml"),
}
STANDALONE: dict[str, Values] = {
    "standalone": {},
    "standalone-without-policies": OPEN,
    "standalone-mirrored": MIRRORED,
    "standalone-elsewhere": ELSEWHERE,
    "standalone-by-service": BY_SERVICE,
    "standalone-production": merged(PRODUCTION, ALONE),
    "standalone-git-dag-bundle": given("examples/git_dag_bundle.yaml"),
}
RENDERS = {**OFFICIAL, **STANDALONE}


def _explicit() -> Path | None:
    named = os.environ.get("AIRFLOW_CHART")
    return Path(named) if named else None


# While tests are collected, not in a test: those may not reach the network.
AIRFLOW_CHART, _ = find_airflow_chart(_explicit())


def airflow_chart() -> Path:
    """The official chart, or the end of this test."""
    if AIRFLOW_CHART is None:
        pytest.skip("optional: not run: the official Airflow chart is not to be had here; set AIRFLOW_CHART=path")
    return AIRFLOW_CHART


def staged(name: str) -> Path:
    """The chart a render starts from."""
    return _staged(airflow_chart() if name.startswith("official") else None)


@cache
def _staged(airflow_chart: Path | None) -> Path:
    return stage(airflow_chart)


def helm(
    *words: str | Path, values: Values | None = None, images: bool = True, anew: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run helm with values on its standard input; without a cluster, and without looking for one.

    What it said in an earlier session of the same chart and values counts; `anew` asks once more, by a name for why.
    """
    command = [program("helm"), *words]
    environment = {**os.environ, "KUBECONFIG": "/dev/null", "GOGC": FEW_COLLECTIONS}
    text = json.dumps(merged(IMAGES, values or {}) if images else values)
    return said(command, stdin=text, environment=environment, why=anew)


def template(chart: Path, values: Values, *, images: bool = True, anew: str = "") -> subprocess.CompletedProcess[str]:
    """`helm template` as release `tidegate` in namespace `tidegate`."""
    where = ["--namespace", "tidegate", "--kube-version", KUBE_VERSION]
    return helm("template", "tidegate", chart, *where, "--values", "-", values=values, images=images, anew=anew)


@cache
def text(name: str) -> str:
    """What `helm template` prints for one of `RENDERS`, and it warns of nothing."""
    done = template(staged(name), RENDERS[name])
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@cache
def render(name: str) -> Documents:
    """The documents of one of `RENDERS`."""
    return documents(text(name))


LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""By libyaml where it is there: ten times as fast as in Python."""


def documents(rendered: str) -> Documents:
    """What helm printed."""
    return [document for document in yaml.load_all(rendered, Loader=LOADER) if document]


def parsed(text: str) -> Any:
    """One document of YAML."""
    return yaml.load(text, Loader=LOADER)  # noqa: S506 - either is safe


def rendered(values: Values) -> Documents:
    """The documents of the chart that stands alone, with these values."""
    if not values:
        return render("standalone")
    done = template(staged("standalone"), values)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def find(documents: Documents, kind: str, name: str) -> dict[str, Any]:
    """The one document of that kind and name."""
    found = [d for d in documents if (d["kind"], d["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, f"{len(found)} of {kind}/{name}"
    return found[0]


def title(document: dict[str, Any]) -> str:
    """How to speak of a document in a message."""
    return f"{document['kind']}/{document['metadata']['name']}"
