"""The mutation suite, as far as it needs no cluster: what must miss, what must hit, and the reason that is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.ledger.world import IMAGE, Clock, Stores, ask, at, done, failed, key, ran, run
from tidegate.ledger import Claim, Hit, MutableImage, Outcome, Proof, State, input_identity, upkeep

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegate.ledger import Ledger, Row


def missed(ledger: Ledger, request: Any) -> Row:
    verdict = ledger.begin(request)
    assert isinstance(verdict, Claim), verdict
    return verdict.row


def test_the_same_work_again_is_a_hit_with_the_recorded_result(ledger: Ledger, stores: Stores) -> None:
    row = ran(ledger, ask(1), done(stores))
    verdict = ledger.begin(ask(2))
    assert isinstance(verdict, Hit)
    assert verdict.row == row
    assert (row.state, row.metrics, row.outputs[0].url) == ("succeeded", {"r2": 0.81}, "s3://tidegate/runs/model.pkl")
    assert row.datetime_finished is not None
    assert row.datetime_finished >= row.datetime_started
    assert row.lease_expires is None


def test_the_first_of_its_step_is_new(ledger: Ledger) -> None:
    row = missed(ledger, ask(1))
    assert (row.reason, row.detail, row.attempt, row.state) == ("new", "the first of its step", 1, "running")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"params": {"n_estimators": "200"}}, 'params.n_estimators was 200, is "200"'),
        ({"params": {"n_estimators": True}}, "params.n_estimators was 200, is true"),
        ({"image": "tidegate/train_model:ffffffffffff"}, 'is "tag:train_model:ffffffffffff"'),
        ({"secrets": {"token": "2"}}, 'secrets.token is new: "2"'),
        ({"keyed_by_time": "none", "params": {}}, "params.n_estimators is gone, was 200"),
        ({"output": "s3://tidegate/elsewhere"}, 'output was "", is "s3://tidegate/elsewhere"'),
    ],
)
def test_another_key_misses_and_names_the_field(
    ledger: Ledger, stores: Stores, changes: dict[str, Any], told: str
) -> None:
    first = ran(ledger, ask(1), done(stores))
    row = missed(ledger, ask(2, work=key(**changes)))
    assert row.reason == "new"
    assert told in row.detail
    assert f"since row {first.id}" in row.detail


def test_a_parameter_of_type_true_does_not_hit_one(ledger: Ledger, stores: Stores) -> None:
    ran(ledger, ask(1, work=key(params={"n": 1})), done(stores))
    for value in (True, "1", 1.0):
        missed(ledger, ask(2, work=key(params={"n": value})))


def test_a_rebuilt_image_under_the_same_mutable_tag_is_refused() -> None:
    with pytest.raises(MutableImage):
        key(image="tidegate/train_model:latest")


def test_a_deleted_output_misses(ledger: Ledger, stores: Stores) -> None:
    ran(ledger, ask(1), done(stores, "a", "b"))
    del stores.objects["s3://tidegate/runs/b"]
    row = missed(ledger, ask(2))
    assert (row.reason, row.attempt) == ("output_changed", 2)
    assert row.detail == "output b is gone: s3://tidegate/runs/b"


def test_an_output_overwritten_with_other_bytes_of_the_same_size_misses(ledger: Ledger, stores: Stores) -> None:
    ran(ledger, ask(1), done(stores, "a", content=b"model"))
    stores.put("s3://tidegate/runs/a", b"MODEL")
    assert "is not what was written" in missed(ledger, ask(2)).detail


def test_an_output_written_again_with_the_same_bytes_hits(ledger: Ledger, stores: Stores) -> None:
    ran(ledger, ask(1), done(stores, "a"))
    stores.put("s3://tidegate/runs/a", b"model")
    assert isinstance(ledger.begin(ask(2)), Hit)


def test_every_byte_is_read_where_a_step_wants_that(ledger: Ledger, stores: Stores) -> None:
    """A store that is restored from a backup, or that lies, may show the old etag over other bytes."""
    row = ran(ledger, ask(1), done(stores))
    url = row.outputs[0].url
    stores.objects[url] = (b"ledom", stores.objects[url][1])
    assert isinstance(ledger.begin(ask(2)), Hit)
    assert missed(ledger, ask(3, proof=Proof.CONTENT)).reason == "output_changed"


def test_what_a_row_keeps_of_a_result_is_given_back_exactly(ledger: Ledger, stores: Stores) -> None:
    extra = {"value": [1, 1.0, True, None, "ü", {"b": [], "a": {}}]}
    ran(ledger, ask(1), replace(done(stores), extra=extra))
    verdict = ledger.begin(ask(2))
    assert isinstance(verdict, Hit)
    assert repr(verdict.row.extra["value"][:5]) == repr(extra["value"][:5])
    assert verdict.row.extra == extra


def test_an_output_that_cannot_be_checked_misses(ledger: Ledger, stores: Stores) -> None:
    ran(ledger, ask(1), done(stores, "a"))
    stores.down = True
    assert "cannot be checked: ConnectionError" in missed(ledger, ask(2)).detail


def test_a_replaced_input_object_misses_and_the_old_one_hits_again(ledger: Ledger, stores: Stores) -> None:
    def work() -> Any:
        return key(inputs={"data": input_identity("s3://b/data.csv", stores.seen("s3://b/data.csv"))})

    stores.put("s3://b/data.csv", b"1,2")
    ran(ledger, ask(1, work=work()), done(stores))
    assert isinstance(ledger.begin(ask(2, work=work())), Hit)
    stores.put("s3://b/data.csv", b"1,3")
    assert "inputs.data.etag was" in missed(ledger, ask(3, work=work())).detail


def test_a_replaced_upstream_output_misses_although_its_sha256_was_recorded(ledger: Ledger, stores: Stores) -> None:
    known = stores.put("s3://b/model.pkl", b"model")

    def work() -> Any:
        return key(inputs={"model": input_identity(known.url, stores.seen(known.url), known=known)})

    ran(ledger, ask(1, work=work()), done(stores))
    assert isinstance(ledger.begin(ask(2, work=work())), Hit)
    stores.put("s3://b/model.pkl", b"MODEL")
    missed(ledger, ask(3, work=work()))


def test_time_to_live_is_over_at_its_end_and_not_before(opened: Callable[..., Ledger], stores: Stores) -> None:
    clock = Clock()
    ledger = opened(clock=clock)
    ran(ledger, ask(1), done(stores))
    clock.ahead = timedelta(minutes=59)
    assert isinstance(ledger.begin(ask(2, ttl=timedelta(hours=1))), Hit)
    clock.ahead = timedelta(minutes=61)
    assert missed(ledger, ask(3, ttl=timedelta(hours=1))).reason == "expired"


def test_a_step_without_outputs_never_hits(ledger: Ledger) -> None:
    ran(ledger, ask(1), Outcome(state=State.SUCCEEDED, summary="mail sent"))
    assert missed(ledger, ask(2)).reason == "no_outputs"


def test_a_step_without_outputs_hits_by_its_own_verify(ledger: Ledger) -> None:
    row = ran(ledger, ask(1), Outcome(state=State.SUCCEEDED, summary="inserted"))
    asked: list[int] = []

    def verify(found: Row) -> str:
        asked.append(found.id)
        return ""

    assert isinstance(ledger.begin(ask(2, verify=verify)), Hit)
    assert asked == [row.id]


@pytest.mark.parametrize("explodes", [False, True])
def test_a_verify_that_says_no_or_raises_misses(ledger: Ledger, stores: Stores, explodes: bool) -> None:
    def verify(found: Row) -> str:
        if explodes:
            raise RuntimeError("table is gone")
        return "table is gone"

    ran(ledger, ask(1), done(stores))
    row = missed(ledger, ask(2, verify=verify))
    assert row.reason == "output_changed"
    assert "table is gone" in row.detail


def test_a_step_that_is_not_reusable_runs_every_time(ledger: Ledger, stores: Stores) -> None:
    ran(ledger, ask(1), done(stores))
    assert missed(ledger, ask(2, reusable=False)).reason == "not_reusable"


def test_a_failure_is_no_result(ledger: Ledger) -> None:
    ran(ledger, ask(1), failed(exit_reason="oom_killed"))
    row = missed(ledger, ask(2))
    assert (row.reason, row.detail, row.attempt) == ("failed_before", "oom_killed", 2)


def test_a_failure_after_a_success_leaves_the_success(ledger: Ledger, stores: Stores) -> None:
    row = ran(ledger, ask(1), done(stores))
    ran(ledger, ask(2, force=True), failed())
    verdict = ledger.begin(ask(3))
    assert isinstance(verdict, Hit)
    assert verdict.row.id == row.id


def test_an_invalidated_result_misses_and_so_does_an_older_one_of_the_same_work(ledger: Ledger, stores: Stores) -> None:
    ran(ledger, ask(1), done(stores))
    newer = ran(ledger, ask(2, force=True), done(stores))
    assert len(ledger.do(upkeep.invalidate_row(newer.id, why="bad data"))) == 2
    row = missed(ledger, ask(3))
    assert (row.reason, row.detail) == ("invalidated", "bad data")


@pytest.mark.parametrize(
    "options",
    [
        {"work": key(params={"b": 2, "a": {"x": 1, "y": 2}})},
        {"work": key(params={"a": {"y": 2, "x": 1}, "b": 2}, image="mirror.example/x/train_model:0123456789ab")},
        {"work": key(params={"a": {"y": 2, "x": 1}, "b": 2}), "run_params": {"a": 0, "unused": 5}},
    ],
)
def test_what_must_still_hit(ledger: Ledger, stores: Stores, options: dict[str, Any]) -> None:
    """Parameter order changed, pulled from a mirror, an unused parameter changed; resources are nowhere in a key."""
    ran(ledger, ask(1, work=key(params={"a": {"x": 1, "y": 2}, "b": 2}, image=IMAGE)), done(stores))
    assert isinstance(ledger.begin(ask(2, **options)), Hit)


def test_the_next_hour_hits_the_training_and_publishes_anew(ledger: Ledger, stores: Stores) -> None:
    upload: dict[str, Any] = {"step": "upload_model", "keyed_by_time": "hour"}
    ran(ledger, ask(1, work=key()), done(stores))
    first = ask(task=run(1, task_id="upload_model"), work=key(**upload, when=at(3)))
    ran(ledger, first, done(stores, "published"))
    assert isinstance(ledger.begin(ask(2, work=key())), Hit)
    assert "time was" in missed(ledger, ask(2, work=key(**upload, when=at(4)))).detail
