"""`tidegate plan …`: asks the triggerer, and shows what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from tidegate.cli import app
from tidegate.cli.fault import Fault
from tidegate.cli.kubectl import Kubectl
from tidegate.cli.plan import lines_of

LINE = {"task_id": "train", "step": "train_model", "action": "SKIP", "reason": "row 3 of r", "minutes": 0.0, "row": 3}
NEW = LINE | {"task_id": "up", "action": "RUN", "reason": "new: the first of its step", "minutes": None, "row": None}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    calls: list[tuple[str, ...]] = []
    pods = [{"metadata": {"name": "airflow-triggerer-0"}, "status": {"phase": "Running"}}]

    def text(_: Kubectl, *arguments: str, **__: Any) -> str:
        calls.append(arguments)
        return f"[2026] airflow says hello\n\nPLAN {json.dumps([LINE, NEW])}\n"

    monkeypatch.setattr(Kubectl, "items", lambda *_: pods)
    monkeypatch.setattr(Kubectl, "text", text)
    return calls


def call(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["plan", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_triggerer_is_asked_with_the_runs_conf(asked: list[tuple[str, ...]]) -> None:
    said = call("petrol", "--conf", '{"n_estimators": 5}')
    assert "SKIP" in said
    assert "first of its step" in said
    (command,) = asked
    assert command[:2] == ("exec", "airflow-triggerer-0")
    assert command[-4:] == ("tidegate.airflow.plan", "petrol", "--conf", '{"n_estimators": 5}')


@pytest.mark.usefixtures("asked")
def test_json_is_what_the_triggerer_told() -> None:
    assert json.loads(call("petrol", "--json")) == [LINE, NEW]


@pytest.mark.parametrize(
    ("said", "told"), [("x\nFAULT Airflow knows no DAG 'p'\n", "knows no DAG"), ("Killed", "told no plan: Killed")]
)
def test_a_fault_is_told_in_words(said: str, told: str) -> None:
    with pytest.raises(Fault, match=told):
        lines_of(said)


def test_without_a_triggerer_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kubectl, "items", lambda *_: [])
    with pytest.raises(Fault, match="no triggerer runs"):
        call("petrol")
