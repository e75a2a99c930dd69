"""What the chart wrote is read whole, or refused with the value to change."""

from __future__ import annotations

import json

import pytest

from tests.dags.conftest import entry
from tidegate.airflow.spec import SpecError, platform, step_spec


def test_every_key_of_the_chart_arrives() -> None:
    spec = step_spec("train_model", {"train_model": entry("train_model", node_selector={"disk": "ssd"})})
    assert spec.image == "tidegate/train_model:0123456789ab"
    assert (spec.secret, spec.secret_keys) == ("step-train-model", ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    assert (spec.memory_limit, spec.node_selector) == ("256Mi", {"disk": "ssd"})


def test_a_key_of_a_later_chart_does_no_harm() -> None:
    assert step_spec("hello", {"hello": entry("hello", colour="blue")}).name == "hello"


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        ({"hello": entry("hello")}, r"add steps\.train_model to the chart's values \(there are hello\)"),
        ({"train_model": "{"}, "key train_model: not JSON"),
        ({"train_model": "[]"}, "key train_model: want a JSON object"),
        ({"train_model": '{"image": "x"}'}, "key train_model: .*resources"),
        ({"train_model": entry("train_model", image="")}, r"set steps\.train_model\.image"),
        ({"train_model": entry("train_model", resources={"requests": {}})}, r"resources\.limits\.memory"),
        ({"train_model": entry("train_model", secret="")}, r"set steps\.train_model\.secret"),
        ({"train_model": entry("train_model", env={"TIDEGATE_RUN": "{}"})}, r"take TIDEGATE_RUN out of steps\.train_m"),
        (None, r"add steps\.train_model"),
    ],
)
def test_what_cannot_be_used_names_what_to_change(data: dict[str, str] | None, advice: str) -> None:
    with pytest.raises(SpecError, match=advice):
        step_spec("train_model", data)


@pytest.mark.parametrize("data", [{}, None, {"_platform": "{}"}, {"_platform": json.dumps({"store_root": ""})}])
def test_a_store_is_wanted(data: dict[str, str] | None) -> None:
    with pytest.raises(SpecError, match=r"set store\.root"):
        platform(data)


def test_paths_are_under_the_store_and_urls_are_left_alone() -> None:
    shared = platform({"_platform": json.dumps({"store_root": "s3://bucket/prefix/"})})
    assert shared.url("data/x.csv") == "s3://bucket/prefix/data/x.csv"
    assert shared.url("/data/x.csv") == "s3://bucket/prefix/data/x.csv"
    assert shared.url("abfss://fs@account/x") == "abfss://fs@account/x"


def test_a_named_store_is_asked_by_its_name() -> None:
    shared = platform({"_platform": '{"store_root": "s3://b/x/", "stores": {"lake": "abfss://f@a/team/"}}'})
    assert shared.url("lake://raw/file") == "abfss://f@a/team/raw/file"
    assert shared.url("lake://") == "abfss://f@a/team/"
    assert shared.url("models") == "s3://b/x/models"
    assert shared.url("abfss://f@a/x") == "abfss://f@a/x"
