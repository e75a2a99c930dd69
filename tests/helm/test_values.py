"""Values: every key explained, no other accepted, rules over two keys, and the official chart's block known to it."""

from __future__ import annotations

import json
import tarfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml

from tests.helm.renders import AIRFLOW_CHART, ELSEWHERE, airflow_chart, helm, parsed, staged, template
from tidegate.cluster.chart import ADDRESS, CHART, VERSION
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

VALUES = CHART / "values.yaml"
SHARED_SCHEMA = ROOT.parent / "shared" / "chart" / "airflow-1.22.0.values.schema.json"
"""A copy beside the checkout, on machines that have one."""


def block_keys(node: yaml.Node, path: str = "") -> Iterator[tuple[str, int]]:
    """Every key written on a line of its own, with that line, counted from 0."""
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        return
    for key, value in node.value:
        yield f"{path}{key.value}", key.start_mark.line
        yield from block_keys(value, f"{path}{key.value}.")


def comment_above(lines: list[str], line: int) -> str:
    """The block of comment lines right above a line."""
    start = line
    while start and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    return "\n".join(text.strip() for text in lines[start:line])


def test_every_key_is_explained() -> None:
    lines = VALUES.read_text().splitlines()
    keys = list(block_keys(yaml.compose(VALUES.read_text())))
    assert len(keys) > 100
    assert [key for key, line in keys if not comment_above(lines, line).startswith("# -- ")] == []


MISSPELT = {
    "devclould": {"devclould": {}},
    "enabledd": {"devcloud": {"enabledd": True}},
    "imagee": {"steps": {"hello": {"imagee": "x"}}},
    "className2": {"database": {"storage": {"className2": "x"}}},
    "request": {"stepDefaults": {"resources": {"request": {}}}},
    "annotation": {"pipelines": {"petrol": {"annotation": {}}}},
    "imageRegistri": {"global": {"imageRegistri": "x"}},
    "apiServerFroms": {"networkPolicies": {"apiServerFroms": []}},
}


@pytest.mark.parametrize("key", MISSPELT)
def test_a_misspelt_key_is_refused_by_name(key: str) -> None:
    done = template(staged("standalone"), MISSPELT[key])
    assert done.returncode != 0
    assert f"'{key}' not allowed" in done.stderr


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a step without image": ({"steps": {"new_step": {}}}, "image"),
    "a dash in a step's name": ({"steps": {"new-step": {"image": "x:1"}}}, "new-step"),
    "a setting that is not Airflow's": ({"global": {"airflowSettings": {"PASSWORD": "x"}}}, "PASSWORD"),
    "a number where Kubernetes wants text": ({"stepDefaults": {"env": {"A": 1}}}, "/stepDefaults/env/A"),
    "a store nobody speaks": ({"store": {"root": "gs://b"}}, "/store/root"),
    "a cap that is no memory": ({"stepDefaults": {"memoryCap": "much"}}, "memoryCap"),
    "a pipeline that may run nothing": ({"concurrency": {"pipelines": {"petrol": 0}}}, "/concurrency/pipelines/petrol"),
    "a deadline of nothing": ({"stepDefaults": {"activeDeadlineSeconds": 0}}, "activeDeadlineSeconds"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_value_is_refused_by_name(what: str) -> None:
    values, named = WRONG[what]
    done = template(staged("standalone"), values)
    assert done.returncode != 0
    assert named in done.stderr


RULES: dict[str, tuple[dict[str, Any], str]] = {
    "neither": ({"standalone": {"enabled": False}}, "set exactly one of airflow.enabled"),
    "git server": ({"devcloud": {"enabled": False}}, "set airflow.dags.gitSync.repo"),
    "no way out": ({**ELSEWHERE, "stepDefaults": {"egress": []}}, "set stepDefaults.egress"),
    "store reader": (
        {**ELSEWHERE, "airflow": {"dags": ELSEWHERE["airflow"]["dags"]}},
        "there is no Secret store-reader: set airflow.triggerer.env",
    ),
    "store": ({"store": {"root": "abfss://f@a.dfs.core.windows.net"}}, "set store.root to s3://"),
    "namespace": ({"stepsNamespace": {"name": "tidegate"}}, "stepsNamespace.name is tidegate"),
    "period": ({"airflow": {"dags": {"gitSync": {"period": "5m"}}}}, "airflow.dags.gitSync.period"),
    "long period": ({"airflow": {"dags": {"gitSync": {"period": "61s"}}}}, "airflow.dags.gitSync.period"),
    "limit of nobody": ({"concurrency": {"pipelines": {"petrole": 1}}}, "concurrency.pipelines.petrole"),
    "no memory limit": (
        {"stepDefaults": {"resources": {"limits": None}}},
        "steps.call_service.resources.limits.memory",
    ),
}
OFFICIAL_RULES: dict[str, tuple[dict[str, Any], str]] = {
    "both": ({"standalone": {"enabled": True}}, "set exactly one of airflow.enabled"),
    "two images": ({"image": {"airflow": "a:1"}}, "leave image.airflow empty"),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_over_two_keys_says_what_to_write(rule: str) -> None:
    values, wanted = RULES[rule]
    done = template(staged("standalone"), values)
    assert done.returncode != 0
    assert wanted in done.stderr


@pytest.mark.parametrize("rule", OFFICIAL_RULES)
def test_a_rule_over_both_charts_says_what_to_write(rule: str) -> None:
    values, wanted = OFFICIAL_RULES[rule]
    done = template(staged("official"), values)
    assert done.returncode != 0
    assert wanted in done.stderr


@cache
def official(name: str) -> str:
    """A file of the official chart."""
    with tarfile.open(airflow_chart()) as archive:
        member = archive.extractfile(f"airflow/{name}")
        assert member is not None
        return member.read().decode()


@cache
def official_schema() -> dict[str, Any]:
    """The official chart's schema: out of the chart, or from beside the checkout."""
    use_copy = AIRFLOW_CHART is None and SHARED_SCHEMA.is_file()
    schema: dict[str, Any] = json.loads(SHARED_SCHEMA.read_text() if use_copy else official("values.schema.json"))
    return schema


@cache
def airflow_blocks() -> dict[str, dict[str, Any]]:
    """The block `airflow` of every values file here, without the one key that is Helm's and not the chart's."""
    files = [*sorted(CHART.glob("values*.yaml")), *sorted((CHART / "examples").glob("*.yaml"))]
    blocks = {path.name: dict(parsed(path.read_text())["airflow"]) for path in files}
    for block in blocks.values():
        block.pop("enabled", None)
    return blocks


@pytest.mark.parametrize("name", airflow_blocks())
def test_the_official_schema_accepts_our_block(name: str) -> None:
    jsonschema.validate(airflow_blocks()[name], official_schema())


@pytest.mark.parametrize("name", airflow_blocks())
def test_the_official_chart_knows_our_keys(name: str) -> None:
    """Its schema lets a misspelt top key pass, so look for ourselves."""
    known = set(official_schema()["properties"])
    assert len(known) > 30
    assert set(airflow_blocks()[name]) - known == set()


def test_the_official_chart_reads_every_key_of_ours_somewhere() -> None:
    """A key below the top may be free-form for the schema; each must stand in the chart's own values."""
    theirs = parsed(official("values.yaml"))
    assert [path for path in _paths(airflow_blocks()["values.yaml"]) if not _has(theirs, path)] == []


def _paths(node: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*path, key)
            yield from _paths(value, (*path, key))


def _has(theirs: object, path: tuple[str, ...]) -> bool:
    """Whether their values have this key, or stop above it at an empty object that takes anything."""
    for key in path:
        if theirs == {}:
            return True
        if not isinstance(theirs, dict) or key not in theirs:
            return False
        theirs = theirs[key]
    return True


def test_helm_shows_the_values_as_they_are_written() -> None:
    done = helm("show", "values", staged("standalone").parent / "tidegate")
    assert done.returncode == 0
    assert parsed(done.stdout)["standalone"]["enabled"] is True


def test_the_dependency_is_the_version_that_is_fetched() -> None:
    about = parsed((CHART / "Chart.yaml").read_text())
    assert [(d["name"], d["version"]) for d in about["dependencies"]] == [("airflow", VERSION)]
    assert f"{about['dependencies'][0]['repository']}/airflow-{VERSION}.tgz" == ADDRESS


def test_every_pipeline_has_an_account() -> None:
    files = {path.stem for pattern in ("*.py", "*/*.py") for path in (ROOT / "dags").glob(pattern)}
    pipelines = set(parsed(VALUES.read_text())["pipelines"])
    assert {f"helm/tidegate/values.yaml: pipelines.{name}" for name in files - pipelines} == set()


def test_every_step_has_an_image_and_a_module() -> None:
    steps = parsed(VALUES.read_text())["steps"]
    wanted = [Path("images") / name / "Dockerfile" for name in steps]
    modules = [Path("jobs") / f"{name}.py" for name in steps]
    packages = [path.with_suffix("") / "__init__.py" for path in modules]
    missing = [str(path) for path in wanted if not (ROOT / path).is_file()]
    missing += [str(m) for m, p in zip(modules, packages, strict=True) if not any((ROOT / x).is_file() for x in (m, p))]
    assert missing == []
