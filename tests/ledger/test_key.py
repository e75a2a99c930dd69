"""What is, and what is not, the same work."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from tests.ledger.world import IMAGE, at, key
from tidegate.ledger import BadKey, MutableImage, Output, Seen, declared, image_identity, input_identity, key_of
from tidegate.ledger.canonical import canonical
from tidegate.ledger.key import time_slot

DIGEST = "sha256:" + "ab" * 32


def test_a_key_is_a_published_constant() -> None:
    """A change of the recipe would silently forget every result there is: it must be meant."""
    made = key_of(step="train_model", image=IMAGE, params={"n": 1, "name": "é"}, inputs={"data": {"sha256": "00"}})
    parts = (
        '{"contract":1,"image":"tag:train_model:0123456789ab","inputs":{"data":{"sha256":"00"}},"output":"",'
        '"params":{"n":1,"name":"\\u00e9"},"secrets":{},"step":"train_model","time":""}'
    )
    assert canonical(made.parts) == parts
    assert made.digest == "08feab269b0de09a80cdfbd478784833380d8dc409c23c1689bafc6d7684a109"


@pytest.mark.parametrize(
    "other", [{"n": "1"}, {"n": True}, {"n": 1.0}, {"n": [1]}, {"n": None}, {}, {"n": 1, "m": None}, {"n": {"n": 1}}]
)
def test_types_of_parameters_are_exact(other: dict[str, object]) -> None:
    assert key(params={"n": 1}).digest != key(params=other).digest


def test_zero_false_and_empty_are_three() -> None:
    assert len({key(params={"n": value}).digest for value in (0, False, "", None, 0.0, -0.0, [], {})}) == 8


def test_order_of_parameters_does_not_matter_that_of_a_list_does() -> None:
    assert key(params={"a": 1, "b": {"c": 2, "d": 3}}).digest == key(params={"b": {"d": 3, "c": 2}, "a": 1}).digest
    assert key(params={"a": [1, 2]}).digest != key(params={"a": [2, 1]}).digest


def test_an_undeclared_parameter_is_not_in_the_key() -> None:
    names = ["parameter_1"]
    training = declared({"parameter_1": "x", "parameter_2": "y"}, names)
    testing = declared({"parameter_3": "z", "parameter_1": "x"}, names)
    assert key(params=training).digest == key(params=testing).digest
    assert key(params=training).digest != key(params=declared({"parameter_1": "w"}, names)).digest


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (float("nan"), "key.params.a"),
        ({1: 2}, "key.params.a"),
        ([{"b": {3}}], r"key.params.a\[0\].b"),
        (b"x", "key.params.a"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_place(value: object, place: str) -> None:
    with pytest.raises(BadKey, match=place):
        key(params={"a": value})


@pytest.mark.parametrize(
    "changes",
    [
        {"step": "other"},
        {"image": "tidegate/train_model:0123456789ac"},
        {"inputs": {"data": {"url": "s3://b/k", "etag": "2"}}},
        {"inputs": {"other": {"url": "s3://b/k", "etag": "1"}}},
        {"keyed_by_time": "hour", "when": at(3)},
        {"output": "s3://tidegate/models/petrol"},
        {"secrets": {"token": "5"}},
    ],
)
def test_every_part_is_in_the_key(changes: dict[str, object]) -> None:
    base = {"inputs": {"data": {"url": "s3://b/k", "etag": "1"}}}
    assert key(**base).digest != key(**base | changes).digest


def test_a_rotated_secret_counts_only_where_the_step_opts_in() -> None:
    assert key(secrets={"token": "5"}).digest != key(secrets={"token": "6"}).digest
    assert key().digest == key(secrets={}).digest


def test_time_is_keyed_in_utc_by_hour_or_minute_or_not_at_all() -> None:
    local = datetime(2026, 11, 21, 5, 59, tzinfo=timezone(timedelta(hours=2)))
    assert time_slot("hour", local) == "2026-11-21T03"
    assert time_slot("minute", local) == "2026-11-21T03:59"
    assert time_slot("none", local) == time_slot("none", None) == ""
    hour = {"keyed_by_time": "hour"}
    assert key(**hour, when=at(3, 1)).digest == key(**hour, when=at(3, 59)).digest != key(**hour, when=at(4)).digest


@pytest.mark.parametrize("when", [None, datetime(2026, 11, 21)])  # noqa: DTZ001 - that is the test
def test_a_step_keyed_by_time_needs_a_time_with_its_zone(when: datetime | None) -> None:
    with pytest.raises(BadKey, match="time zone"):
        time_slot("hour", when)
    with pytest.raises(BadKey, match="none, hour or minute"):
        time_slot("day", at(3))


@pytest.mark.parametrize(
    ("reference", "identity"),
    [
        (f"r.example:5000/a/b@{DIGEST}", DIGEST),
        (f"b:latest@{DIGEST}", DIGEST),
        ("r.example:5000/tidegate/train_model:0123456789ab", "tag:train_model:0123456789ab"),
        (f"b:{'c' * 64}", f"tag:b:{'c' * 64}"),
    ],
)
def test_an_image_is_its_digest_or_its_content_tag_wherever_it_is_pulled_from(reference: str, identity: str) -> None:
    assert image_identity(reference) == identity


@pytest.mark.parametrize(
    "reference",
    ["b", "b:latest", "b:v1.2.3", "r.example:5000/b", "b:0123456789a", "b:202611211200", "b:20261121120059", "b:",
     "b:ABCDEF012345", "b@sha256:12", "b@sha256:0123456789abcdef", f"b:{'c' * 65}"],
)  # fmt: skip
def test_a_mutable_tag_is_refused_with_what_to_write(reference: str) -> None:
    with pytest.raises(MutableImage, match="by digest"):
        image_identity(reference)


def test_an_input_is_its_version_or_etag_and_where_it_lies() -> None:
    assert input_identity("s3://b/k", Seen(size=1, etag="e", version="v")) == {"url": "s3://b/k", "version": "v"}
    assert input_identity("s3://b/k", Seen(size=1, etag="e")) == {"url": "s3://b/k", "etag": "e"}
    assert input_identity("s3://b/k", None) == {"url": "s3://b/k", "missing": "true"}
    with pytest.raises(BadKey, match="no etag"):
        input_identity("s3://b/k", Seen(size=1))


def test_an_upstream_output_is_its_content_as_long_as_it_is_the_recorded_version() -> None:
    known = Output(name="m", url="s3://b/k", size=1, sha256="5a", etag="e")
    assert input_identity("s3://b/k", Seen(size=1, etag="e", version="v"), known=known) == {"sha256": "5a"}
    assert input_identity("s3://b/k", Seen(size=1, etag="f"), known=known) == {"url": "s3://b/k", "etag": "f"}
    assert input_identity("s3://b/k", Seen(size=2, etag="e"), known=known) == {"url": "s3://b/k", "etag": "e"}
