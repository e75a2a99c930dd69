"""`tidegate ledger …` as people and programs see it: tables, JSON, clear errors, no secrets."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tests.ledger.world import Stores, ask, done, key, ran
from tidegate.ledger import Claim, Hit, address
from tidegate.ledger.address import drivers_of, from_environment
from tidegate.ledger.cli import app
from tidegate.ledger.errors import BadAddress
from tidegate.ledger.report import use_of

if TYPE_CHECKING:
    from click.testing import Result

    from tests.ledger.conftest import Server
    from tidegate.ledger import Ledger


@pytest.fixture
def call(db: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TIDEGATE_LEDGER_URL", db)
    monkeypatch.setenv("COLUMNS", "250")

    def run(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return run


def test_list_show_and_explain_tell_what_ran_and_why(ledger: Ledger, stores: Stores, call: Any) -> None:
    ran(ledger, ask(1), done(stores))
    row = ran(ledger, ask(2, work=key(params={"n_estimators": "200"})), done(stores))
    table = call("list").stdout
    assert re.search(r"train_model .* succeeded .* new .* trained", table)
    assert 'is "200"' in call("explain", str(row.id)).stdout
    assert json.loads(call("explain", str(row.id), "--json").stdout)["differences"] == [
        {"field": "params.n_estimators", "was": "200", "now": '"200"'}
    ]
    shown = json.loads(call("show", str(row.id), "--json").stdout)
    assert (shown["params"], shown["metrics"], shown["state"]) == ({"n_estimators": "200"}, {"r2": 0.81}, "succeeded")
    assert "s3://tidegate/runs/model.pkl" in call("show", str(row.id)).stdout


def test_list_filters_and_limits(ledger: Ledger, stores: Stores, call: Any) -> None:
    first = ran(ledger, ask(1), done(stores))
    ledger.begin(ask(2, work=key(step="upload_model")))

    def numbers(*arguments: str) -> list[int]:
        return [row["id"] for row in json.loads(call("list", "--json", *arguments).stdout)]

    assert numbers() == [first.id + 1, first.id]
    assert numbers("--limit", "1") == [first.id + 1]
    assert numbers("--step", "train_model") == numbers("--state", "succeeded") == [first.id]
    assert numbers("--pipeline", "weather") == []
    assert "no rows" in call("list", "--pipeline", "weather").stdout


def test_invalidate_makes_it_run_again(ledger: Ledger, stores: Stores, call: Any) -> None:
    row = ran(ledger, ask(1), done(stores))
    assert isinstance(ledger.begin(ask(2)), Hit)
    assert [found["id"] for found in json.loads(call("invalidate", str(row.id), "--json").stdout)] == [row.id]
    assert isinstance(ledger.begin(ask(3)), Claim)
    assert "nothing to invalidate" in call("invalidate", "--step", "train_model").stdout
    assert "name what to invalidate" in call("invalidate", code=1).stderr
    call("invalidate", "1", "--step", "x", code=2)


def test_gc_takes_a_time_and_shows_first(ledger: Ledger, stores: Stores, call: Any) -> None:
    first = ran(ledger, ask(1), done(stores))
    newest = ran(ledger, ask(2, force=True), done(stores))
    assert json.loads(call("gc", "--dry-run", "--older-than", "1d", "--json").stdout) == []
    for _ in range(2):
        assert [row["id"] for row in json.loads(call("gc", "--dry-run", "--older-than", "0m", "--json").stdout)] == [
            first.id
        ]
    call("gc", "--older-than", "0m")
    assert [row["id"] for row in json.loads(call("list", "--json").stdout)] == [newest.id]
    call("gc", "--older-than", "soon", code=2)


def test_migrate_says_what_it_did(server: Server, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_LEDGER_URL", server.new("by_command"))
    assert "list" not in call("list", code=1).stdout
    assert "tidegate ledger migrate" in call("list", code=1).stderr.replace("\n", " ")
    assert json.loads(call("migrate", "--json").stdout) == {"was": "", "now": "0002", "ahead": False}
    assert "already" in call("migrate").stdout
    assert json.loads(call("list", "--json").stdout) == []


def test_what_cannot_be_done_ends_in_one_line(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "the ledger has no row 12345" in call("show", "12345", code=1).stderr
    monkeypatch.setenv("TIDEGATE_LEDGER_URL", "postgresql://me:hidden@127.0.0.1:1/x")
    told = call("list", code=1).stderr
    assert "cannot be used" in told
    assert "hidden" not in told
    assert "Traceback" not in told
    monkeypatch.delenv("TIDEGATE_LEDGER_URL")
    assert "set $TIDEGATE_LEDGER_URL" in call("list", code=1).stderr


def test_uses_tell_who_ran_who_hit_and_what_that_saved(ledger: Ledger, stores: Stores, call: Any) -> None:
    row = ran(ledger, ask(1), done(stores))
    ledger.begin(ask(2))
    ledger.begin(ask(3, work=key(params={})))
    ledger.begin(ask(4, work=key(params={})))
    told = json.loads(call("uses", "--json").stdout)
    verdicts = [(use["run_id"][-1], use["verdict"], use["row"]) for use in told["uses"]]
    assert verdicts == [("4", "wait", row.id + 1), ("3", "run", row.id + 1), ("2", "hit", row.id), ("1", "run", row.id)]
    assert told["saved"] == {"pods": 1, "seconds": round(row.seconds or 0, 3)}
    assert "hits saved 1 pods" in call("uses").stdout
    assert len(json.loads(call("uses", "--run", "scheduled__2", "--step", "train_model", "--json").stdout)["uses"]) == 1
    link = ledger.do(use_of(ask(2).task))
    assert link is not None
    assert link.row.id == row.id
    assert ledger.do(use_of(ask(99).task)) is None


@pytest.mark.parametrize("name", ["list", "uses", "show", "explain", "invalidate", "gc", "migrate"])
def test_every_command_has_help_and_json(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"})
    assert result.exit_code == 0
    assert "--json" in result.output


def test_the_address_comes_from_the_variable_or_airflows_connection() -> None:
    json_form = json.dumps({"conn_type": "postgres", "login": "me", "password": "p@ss", "host": "h", "schema": "d"})
    assert from_environment({"TIDEGATE_LEDGER_URL": "sqlite://", "AIRFLOW_CONN_ML_AIRFLOW": "x"}) == "sqlite://"
    url, drivers = drivers_of(from_environment({"AIRFLOW_CONN_ML_AIRFLOW": json_form}))
    assert (url.password, url.database, drivers) == ("p@ss", "d", address.POSTGRESQL)
    url, _ = drivers_of("postgres://me@h/d?sslmode=require&__extra__=%7B%7D")
    assert dict(url.query) == {"sslmode": "require"}
    for bad in ("oracle://h/x", "no url"):
        with pytest.raises(BadAddress):
            drivers_of(bad)
    with pytest.raises(BadAddress):
        from_environment({"AIRFLOW_CONN_ML_AIRFLOW": '{"host": 1}'})
