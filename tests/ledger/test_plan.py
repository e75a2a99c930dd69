"""A plan says what the trigger would do, by the trigger's own decisions, and writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.ledger.world import Stores, ask, done, key, ran, run
from tidegate.ledger import Claim, Hit, Wait, input_identity, rows
from tidegate.ledger.plan import Action, Line, Planned, plan

if TYPE_CHECKING:
    from tidegate.ledger import Key, Ledger, Output, Request


def training(stores: Stores, **changes: Any) -> Planned:
    return Planned(task_id="train_model", step="train_model", build=lambda _: ask(9, work=key(**changes)))


def uploading(stores: Stores) -> Planned:
    def build(upstream: Any) -> Request:
        return ask(task=run(9, task_id="upload_model"), work=upload_key(stores, upstream["train_model"][0]))

    return Planned(task_id="upload_model", step="upload_model", inputs_from=("train_model",), build=build)


def upload_key(stores: Stores, model: Output) -> Key:
    return key(step="upload_model", inputs={"model": input_identity(model.url, stores.seen(model.url), known=model)})


def told(ledger: Ledger, *steps: Planned) -> list[Line]:
    before = ledger.do(lambda tx: rows.matching(tx, {}, limit=100))
    lines = ledger.run(plan(steps))
    assert ledger.do(lambda tx: rows.matching(tx, {}, limit=100)) == before, "a plan writes nothing"
    return lines


def test_of_an_empty_ledger_everything_runs(ledger: Ledger, stores: Stores) -> None:
    train, upload = told(ledger, training(stores), uploading(stores))
    assert (train.action, train.reason, train.minutes) == (Action.RUN, "new: the first of its step", None)
    assert (upload.action, upload.reason) == (Action.RUN, "reads what train_model will write")


def test_what_is_done_is_skipped_and_what_changed_is_named(ledger: Ledger, stores: Stores) -> None:
    row = ran(ledger, ask(1), done(stores))
    ran(ledger, ask(task=run(1, task_id="upload_model"), work=upload_key(stores, row.outputs[0])), done(stores, "card"))
    train, upload = told(ledger, training(stores), uploading(stores))
    assert (train.action, train.row, upload.action) == (Action.SKIP, row.id, Action.SKIP)
    train, upload = told(ledger, training(stores, params={"n_estimators": 300}), uploading(stores))
    assert (train.action, upload.action) == (Action.RUN, Action.RUN)
    assert "params.n_estimators was 200, is 300" in train.reason
    assert train.minutes is not None
    del stores.objects[row.outputs[0].url]
    assert "is gone" in told(ledger, training(stores))[0].reason


def test_what_is_in_flight_is_waited_for(ledger: Ledger, stores: Stores) -> None:
    claim = ledger.begin(ask(1))
    assert isinstance(claim, Claim)
    train, upload = told(ledger, training(stores), uploading(stores))
    assert (train.action, train.row, upload.action) == (Action.WAIT, claim.fence, Action.RUN)


@pytest.mark.parametrize("state", ["new", "done", "gone", "changed", "flight"])
def test_the_plan_is_what_then_happens(ledger: Ledger, stores: Stores, state: str) -> None:
    if state in ("done", "gone", "changed"):
        ran(ledger, ask(1), done(stores))
    if state == "gone":
        stores.objects.clear()
    if state == "flight":
        ledger.begin(ask(1))
    changes = {"params": {"n_estimators": 1}} if state == "changed" else {}
    (line,) = told(ledger, training(stores, **changes))
    expected = {Action.RUN: Claim, Action.SKIP: Hit, Action.WAIT: Wait}[line.action]
    assert isinstance(ledger.begin(ask(9, work=key(**changes))), expected)


def test_a_step_that_cannot_be_keyed_runs_and_says_why(ledger: Ledger, stores: Stores) -> None:
    broken = Planned(task_id="x", step="x", build=lambda _: ask(9, work=key(image="x:latest")))
    (line,) = told(ledger, broken)
    assert (line.action, "by digest" in line.reason) == (Action.RUN, True)
