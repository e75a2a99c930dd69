"""What the README tells a newcomer to type is there: the cluster rung types it, this one reads it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.cluster import newcomer
from tidegate.cli import app, runs
from tidegate.cli.fault import Fault


def command(words: list[str]) -> Any:
    """The command that a line's words lead to."""
    found: Any = typer.main.get_command(app)
    for word in words:
        if not hasattr(found, "commands") and not hasattr(found, "list_commands"):
            break
        found = found.get_command(None, word)
        assert found is not None, f"there is no command {word!r}"
    return found


def test_the_lines_begin_with_a_new_step_and_end_with_what_the_ledger_says() -> None:
    lines = [shlex.split(line) for line in newcomer.lines()]
    assert {words[0] for words in lines} == {".venv/bin/tidegate"}
    assert lines[0][1:3] == ["new", "step"]
    assert [words[1] for words in lines].count("trigger") == 2
    assert lines[-1][1:] == ["ledger", "uses", "--pipeline", newcomer.DAG]


@pytest.mark.parametrize("line", sorted(set(newcomer.lines())))
def test_every_option_of_a_line_exists(line: str) -> None:
    words = shlex.split(line)[1:]
    options = {flag for one in command(words).params for flag in one.opts}
    assert {word for word in words if word.startswith("--")} <= options


class FakeApi:
    """An Airflow that reads a new file at the third look."""

    def __init__(self, *, stale: bool) -> None:
        self.looks, self.stale = 0, stale

    def dag(self, _: str) -> dict[str, Any] | None:
        self.looks += 1
        if self.looks < 3:
            return {"is_stale": True} if self.stale else None
        return {"is_stale": False}

    def dag_ids(self) -> list[str]:
        return ["petrol"]


@pytest.mark.parametrize("stale", [True, False])
def test_a_pipeline_that_was_just_pushed_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stale: bool
) -> None:
    monkeypatch.setattr(runs.time, "sleep", lambda _: None)
    (tmp_path / "mine.py").touch()
    api: Any = FakeApi(stale=stale)
    runs.wait_known(api, "mine", file=tmp_path / "mine.py")
    assert api.looks == 3
    runs.wait_known(api, "mine", file=Path("/nowhere"))
    assert api.looks == 4


def test_a_pipeline_without_a_file_is_not_waited_for(tmp_path: Path) -> None:
    api: Any = FakeApi(stale=False)
    with pytest.raises(Fault, match="knows no pipeline 'helo'; want one of petrol"):
        runs.wait_known(api, "helo", file=tmp_path / "helo.py")
