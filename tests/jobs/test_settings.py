"""Settings: every fault at once, each naming its variable and what was wanted."""

from __future__ import annotations

import json
import types
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from tidegate.step import BadSettings, Input, Prefix, Run, Secret, Secrets, param, secret, secrets, setting
from tidegate.step.explain import explain
from tidegate.step.settings import read


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All kinds of settings there are."""

    count: int = param(3, at_least=1, at_most=10)
    """How many."""
    share: float = param(0.5, above=0, below=1)
    """How much
    of it."""
    city: str = param(at_least=1)
    fast: bool = param(False)
    unit: str = param("metric", choices=("metric", "imperial"))
    names: list[str] = param([])
    extra: dict[str, Any] = param({})
    data: Input
    more: Input | None = None
    key: Secret = secret("SERVICE_KEY")
    """Opens the service."""
    spare: Secret | None = secret("SPARE_KEY", optional=True)
    when: datetime
    run: Run
    output: Prefix


def environ(**changes: object) -> dict[str, str]:
    values: dict[str, object] = {
        "TIDEGATE_PARAMS": {"city": "Redmond"},
        "TIDEGATE_INPUTS": {"data": "s3://b/data.csv"},
        "TIDEGATE_OUTPUT": "s3://b/out/",
        "TIDEGATE_RUN": {"dag_id": "d", "map_index": None, "logical_date": "2026-01-31T23:30:00-02:00"},
        "SERVICE_KEY": "hush-hush",
    }
    values |= changes
    return {name: text if isinstance(text, str) else json.dumps(text) for name, text in values.items() if text != ""}


def test_everything_comes_from_where_its_type_says() -> None:
    settings = read(Settings, environ())
    assert (settings.count, settings.share, settings.city, settings.fast) == (3, 0.5, "Redmond", False)
    assert (settings.names, settings.extra, settings.more, settings.spare) == ([], {}, None, None)
    assert settings.data == "s3://b/data.csv"
    assert settings.output / "x" == "s3://b/out/x"
    assert settings.key.reveal() == "hush-hush"
    assert settings.when == datetime(2026, 2, 1, 1, 30, tzinfo=UTC)
    assert settings.run.dag_id == "d"
    assert settings.run.map_index == -1


def test_numbers_and_truths_may_be_text_as_templates_write_them() -> None:
    texts = {"city": "x", "count": "7", "share": "0.25", "fast": "True", "names": '["a", "b"]'}
    settings = read(Settings, environ(TIDEGATE_PARAMS=texts))
    assert (settings.count, settings.share, settings.fast, settings.names) == (7, 0.25, True, ["a", "b"])


def test_all_faults_are_told_at_once() -> None:
    params = {"count": 0, "share": 1, "fast": "maybe", "unit": "kelvin", "names": [1], "cuont": 3}
    changed = environ(TIDEGATE_PARAMS=params, TIDEGATE_INPUTS={}, TIDEGATE_OUTPUT="", TIDEGATE_RUN={}, SERVICE_KEY="")
    with pytest.raises(BadSettings) as caught:
        read(Settings, changed)
    assert caught.value.faults == (
        "$TIDEGATE_PARAMS.count is 0; want a whole number, at least 1 and at most 10",
        "$TIDEGATE_PARAMS.share is 1; want a number, above 0 and below 1",
        "$TIDEGATE_PARAMS.city is not set; want text, at least 1 character(s)",
        '$TIDEGATE_PARAMS.fast is "maybe"; want true or false',
        '$TIDEGATE_PARAMS.unit is "kelvin"; want text, one of metric, imperial',
        "$TIDEGATE_PARAMS.names is [1]; want a list of str",
        "$TIDEGATE_INPUTS.data is not set; want a URL, s3://, abfss:// or file://",
        "$SERVICE_KEY is not set; want a secret, from the step's own Kubernetes Secret",
        "$TIDEGATE_RUN.logical_date is not set; "
        "want a date in ISO 8601 with its offset, like 2026-01-31T13:00:00+00:00",
        "$TIDEGATE_OUTPUT is not set; want a URL, s3://, abfss:// or file://",
        "$TIDEGATE_PARAMS has 'cuont', want city, count, extra, fast, names, share, unit",
    )


@pytest.mark.parametrize("value", [True, "1.5", 2.5, "x", [], {}, "1_0x", None, float("nan")])
def test_no_whole_number(value: object) -> None:
    with pytest.raises(BadSettings, match=r"\$TIDEGATE_PARAMS\.count .*want a whole number"):
        read(Settings, environ(TIDEGATE_PARAMS={"city": "x", "count": value}))


@pytest.mark.parametrize("text", ["{", "[1]", '"x"', "3"])
@pytest.mark.parametrize("variable", ["TIDEGATE_PARAMS", "TIDEGATE_INPUTS", "TIDEGATE_RUN"])
def test_what_is_no_json_object_is_named(variable: str, text: str) -> None:
    with pytest.raises(BadSettings, match=rf"\${variable} is "):
        read(Settings, environ(**{variable: text}))


@pytest.mark.parametrize("date", ["yesterday", "2026-01-31T13:00:00", 7])
def test_a_date_without_offset_is_no_date(date: object) -> None:
    with pytest.raises(BadSettings, match=r"\$TIDEGATE_RUN\.logical_date is .*with its offset"):
        read(Settings, environ(TIDEGATE_RUN={"logical_date": date}))


@pytest.mark.parametrize("url", ["data.csv", "https://x/y.csv", "s3://", 7, "abfss://fs/x"])
def test_an_input_that_is_no_url_is_named(url: object) -> None:
    with pytest.raises(BadSettings, match=r"\$TIDEGATE_INPUTS\.data"):
        read(Settings, environ(TIDEGATE_INPUTS={"data": url}))


def test_an_input_nobody_asked_for_is_named() -> None:
    with pytest.raises(BadSettings, match=r"\$TIDEGATE_INPUTS has 'date', want data, more"):
        read(Settings, environ(TIDEGATE_INPUTS={"data": "s3://b/x", "date": "s3://b/y"}))


def test_help_explains_every_setting() -> None:
    module = types.ModuleType("jobs.try_all", "Tries all kinds.")
    module.Settings = Settings  # type: ignore[attr-defined]
    text = explain("try_all", module)
    assert text.startswith("python -m jobs try_all\n\nTries all kinds.\n")
    assert "$TIDEGATE_PARAMS.count  (a whole number, at least 1 and at most 10; default 3)\n      How many.\n" in text
    assert "$TIDEGATE_PARAMS.share  (a number, above 0 and below 1; default 0.5)\n      How much of it.\n" in text
    assert "$TIDEGATE_PARAMS.city  (text, at least 1 character(s); required)" in text
    assert "$TIDEGATE_INPUTS.more  (a URL: s3://, abfss:// or file://; optional)" in text
    assert "$SERVICE_KEY  (a secret; required)\n      Opens the service.\n" in text
    assert "$SPARE_KEY  (a secret; optional)" in text
    assert "$TIDEGATE_RUN.logical_date  (ISO 8601 with its offset; required)" in text


@dataclass(frozen=True, kw_only=True)
class Platform:
    """Settings that the platform may give."""

    units: str = param("metric", variable="UNITS", choices=("metric", "imperial"))
    cities: list[dict[str, Any]] = param([], variable="CITIES")
    services: dict[str, Any] = setting("SERVICES", {})
    port: int = setting("PORT", at_least=1)
    keys: Secrets = secrets("SERVICE_")


def test_a_run_comes_before_the_platform_and_that_before_the_default() -> None:
    assert read(Platform, {"PORT": "80"}).units == "metric"
    given = {"PORT": "80", "UNITS": "imperial", "CITIES": '[{"a": 1}]', "SERVICES": '{"x": {}}', "SERVICE_X_KEY": "k"}
    found = read(Platform, given)
    assert (found.units, found.cities, found.services, found.port) == ("imperial", [{"a": 1}], {"x": {}}, 80)
    assert found.keys == {"SERVICE_X_KEY": Secret("k")}
    assert "'k'" not in repr(found)
    assert read(Platform, given | {"TIDEGATE_PARAMS": '{"units": "metric"}'}).units == "metric"


def test_a_fault_names_the_variable_that_has_it() -> None:
    given = {"UNITS": "x", "CITIES": "[1]", "SERVICES": "[]", "TIDEGATE_PARAMS": '{"services": {}}'}
    with pytest.raises(BadSettings) as caught:
        read(Platform, given)
    starts = [fault.partition(";")[0].partition(",")[0] for fault in caught.value.faults]
    assert starts == [
        '$UNITS is "x"',
        '$CITIES is "[1]"',
        '$SERVICES is "[]"',
        "$PORT is not set",
        "$TIDEGATE_PARAMS has 'services'",
    ]


def test_help_tells_where_the_platform_says_it() -> None:
    module = types.ModuleType("platform", "Does.")
    module.Settings = Platform  # type: ignore[attr-defined]
    text = explain("platform", module)
    assert "$TIDEGATE_PARAMS.units  (text, one of metric, imperial; $UNITS, or else default" in text
    assert "  $SERVICES  (an object; default {})" in text
    assert "  $SERVICE_*  (secrets; as many as there are)" in text
