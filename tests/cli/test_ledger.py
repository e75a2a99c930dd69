"""`tidegate ledger …` where it is mounted: its commands, their cost, and the way to the ledger."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tidegate.cli import app, ledger
from tidegate.cli.fault import Fault
from tidegate.cli.kubectl import Kubectl
from tidegate.ledger.cli import WAY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADDRESS = "postgresql://ledger:s3cret@postgresql:5432/ledger"


def call(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["ledger", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_other_commands_do_not_pay_for_the_databases() -> None:
    code = (
        "import sys; from tidegate.cli import app\n"
        "try: app(['--help'])\n"
        "finally: print('LOADED', [name for name in ('sqlalchemy', 'alembic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ledger" in done.stdout
    assert "LOADED []" in done.stdout


def test_every_command_of_the_ledger_is_there() -> None:
    said = call("--help")
    for name in ("list", "uses", "show", "explain", "invalidate", "gc", "migrate"):
        assert f" {name} " in said


def test_the_variable_goes_before_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
    monkeypatch.setattr(Kubectl, "secret", lambda *_, **__: pytest.fail("no cluster is asked"))
    assert "is at version" in call("migrate")
    assert json.loads(call("list", "--json")) == []


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A release with a ledger, and a port of this machine that leads to it."""
    asked: dict[str, Any] = {"secret": {"connection": ADDRESS}}
    monkeypatch.delenv("TIDEGATE_LEDGER_URL", raising=False)

    @contextmanager
    def forward(kubectl: Kubectl, service: str, port: int) -> Iterator[SimpleNamespace]:
        asked["forward"] = (kubectl.context, service, port)
        yield SimpleNamespace(local=54321)
        asked["closed"] = True

    monkeypatch.setattr(ledger, "forward", forward)
    monkeypatch.setattr(Kubectl, "secret", lambda *_: asked["secret"])
    return asked


def test_the_clusters_ledger_is_reached_by_a_port_of_this_machine(cluster: dict[str, Any]) -> None:
    with ledger.reached("kind-x") as address:
        assert address == "postgresql://ledger:s3cret@127.0.0.1:54321/ledger"
    assert cluster["forward"] == ("kind-x", "postgresql", 5432)
    assert cluster["closed"]


def test_a_ledger_elsewhere_is_not_guessed(cluster: dict[str, Any]) -> None:
    cluster["secret"] = {"connection": "postgresql://ledger:s3cret@db.example:5432/ledger"}
    with pytest.raises(Fault, match="TIDEGATE_LEDGER_URL") as fault, ledger.reached("kind-x"):
        pass
    assert "s3cret" not in str(fault.value)
    assert "forward" not in cluster


def test_the_commands_go_the_way_of_the_context_and_forget_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contexts = []

    @contextmanager
    def reached(context: str | None) -> Iterator[str]:
        contexts.append(context)
        yield f"sqlite:///{tmp_path}/ledger.db"

    monkeypatch.setattr(ledger, "reached", reached)
    call("--context", "kind-x", "migrate")
    assert json.loads(call("list", "--json")) == []
    assert contexts == ["kind-x", None]
    assert WAY.get(None) is None
    call("list", "--help")
    assert len(contexts) == 2, "help asks no cluster"
