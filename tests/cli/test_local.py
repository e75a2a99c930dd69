"""`tidegate run STEP …`: the step contract, from what somebody types."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tidegate.cli import app, local
from tidegate.cli.fault import Fault

if TYPE_CHECKING:
    from pathlib import Path


def call(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["run", *arguments], catch_exceptions=False)


def test_a_step_runs_and_its_result_is_printed(tmp_path: Path) -> None:
    done = call("hello", "--param", "name=Ada", "--output", str(tmp_path / "a b"))
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["summary"] == "Hello, Ada!"
    assert (tmp_path / "a b" / "greeting.txt").read_text() == "Hello, Ada!\n"


def test_inputs_parameters_and_lists_arrive(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("b\na\n")
    command = json.dumps(["sh", "-c", 'sort > "$OUTPUT_FOLDER/sorted"; echo "$PARAM_x" >> "$OUTPUT_FOLDER/sorted"'])
    given = ("--param", f"command={command}", "--param", 'parameters={"x": 1}', "--input", f"data={tmp_path / 'in'}")
    assert call("run_command", *given, "--output", str(tmp_path / "out")).exit_code == 0
    assert (tmp_path / "out" / "sorted").read_text() == "a\nb\n1\n"


@pytest.mark.parametrize(("step", "param"), [("hello", "name=7"), ("helo", "name=x")])
def test_the_exit_code_is_the_steps(tmp_path: Path, step: str, param: str) -> None:
    done = call(step, "--param", param, "--output", str(tmp_path))
    assert (done.exit_code, done.stdout) == (2, "")


def test_what_is_no_pair_is_refused() -> None:
    with pytest.raises(Fault, match="'name' is no NAME=VALUE"):
        local.environment(local.Asked(step="hello", params=["name"]))


def test_values_are_json_where_they_are_some() -> None:
    asked = local.Asked(step="x", params=["a=5", 'b="5"', "c=five", "d=", "e=x=y", "f=[1]", "g=true"])
    told = json.loads(local.environment(asked)["TIDEGATE_PARAMS"])
    assert told == {"a": 5, "b": "5", "c": "five", "d": "", "e": "x=y", "f": [1], "g": True}


def test_the_run_has_a_time_with_a_zone() -> None:
    run = json.loads(local.environment(local.Asked(step="x"))["TIDEGATE_RUN"])
    assert run["logical_date"].endswith("+00:00")
    given = local.environment(local.Asked(step="x", logical_date="2026-01-31T13:00:00+00:00"))
    assert json.loads(given["TIDEGATE_RUN"])["logical_date"] == "2026-01-31T13:00:00+00:00"
