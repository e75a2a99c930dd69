"""Airflow's settings: options that this Airflow has, values of the right type, and the same in both modes."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.renders import RENDERS, find, render
from tidegate.cluster.chart import CHART

COMPUTED = {"TIDEGATE_STEPS_NAMESPACE", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"}
"""What a mode or a name decides, and not the values."""

PROVIDERS = ("celery", "cncf/kubernetes", "fab")
PARSERS = {"integer": int, "float": float}


def airflow_folder() -> Path:
    """Where Airflow lies; found, not imported: an import would look for a configuration."""
    spec = importlib.util.find_spec("airflow")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def provider_config(name: str) -> dict[str, Any]:
    """What a provider says of its options; its one file is run, the provider is not imported."""
    path = airflow_folder() / "providers" / name / "get_provider_info.py"
    spec = importlib.util.spec_from_file_location("provider_info", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Any] = module.get_provider_info()["config"]
    return found


@cache
def options() -> dict[str, dict[str, Any]]:
    """Every option of Airflow and of three of its providers, by its environment variable."""
    core = yaml.safe_load((airflow_folder() / "config_templates" / "config.yml").read_text())
    sections = [*core.items(), *(pair for name in PROVIDERS for pair in provider_config(name).items())]
    return {
        f"AIRFLOW__{section.upper()}__{name.upper()}": option
        for section, content in sections
        for name, option in content["options"].items()
    }


def our_options() -> set[str]:
    """Those that our own code reads, in a section of ours."""
    folder = Path(__file__).resolve().parents[2] / "tidegate"
    read = [re.findall(r'conf\.get\w*\("tidegate", "(\w+)"', path.read_text()) for path in folder.rglob("*.py")]
    return {f"AIRFLOW__TIDEGATE__{name.upper()}" for names in read for name in names}


def settings(name: str) -> dict[str, str]:
    data: dict[str, str] = find(render(name), "ConfigMap", "tidegate-airflow")["data"]
    return data


@pytest.mark.parametrize("name", RENDERS)
def test_somebody_reads_every_option_we_set(name: str) -> None:
    known = options()
    assert len(known) > 200
    assert {key for key in settings(name) if key.startswith("AIRFLOW__")} - set(known) == our_options()


def test_every_value_has_the_type_that_airflow_wants() -> None:
    known = options()
    for key, value in settings("standalone").items():
        kind = known.get(key, {}).get("type", "string")
        if kind in PARSERS:
            PARSERS[kind](value)
        if kind == "boolean":
            assert value in {"True", "False"}, f"{key} is {value!r}"


@pytest.mark.parametrize("variant", ["", "-without-policies", "-mirrored", "-elsewhere", "-production"])
def test_both_modes_set_the_same(variant: str) -> None:
    official, alone = settings(f"official{variant}"), settings(f"standalone{variant}")
    decided = COMPUTED | {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"}
    assert {k: v for k, v in official.items() if k not in decided} == {
        k: v for k, v in alone.items() if k not in decided
    }


def test_a_pushed_pipeline_is_seen_within_a_minute() -> None:
    """git-sync's period, the look for new files, the pause between two writes, and 20 seconds to parse."""
    seconds = settings("standalone")
    period = yaml.safe_load((CHART / "values.yaml").read_text())["airflow"]["dags"]["gitSync"]["period"]
    wait = int(period.removesuffix("s")) + int(seconds["AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL"])
    assert wait + int(seconds["AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL"]) + 20 <= 60
