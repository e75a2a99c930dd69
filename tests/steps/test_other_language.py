"""A step that is no Python, started, followed and believed by the real trigger; a second run uses its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import DAG

from tidegate.airflow import step
from tidegate.airflow.testing import StepRun, run_step
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

STEP = "count_lines"
COMMAND = ["sh", str(ROOT / "docs" / "examples" / STEP / f"{STEP}.sh")]


def run(store: Path, *, run_id: str, data: str = "text") -> StepRun:
    with DAG("other_language", schedule=None) as dag:
        step(STEP, inputs={"data": data}, params={"blank": False})
    return run_step(dag.get_task(STEP), commands={STEP: COMMAND}, store_root=store.as_uri(), run_id=run_id)


def test_its_result_becomes_the_tasks_values(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("one\n\nthree\n")
    done = run(tmp_path, run_id="first")
    assert done.state == "success", done.log
    assert done.values["return_value"]["metrics"] == {"lines": 2}
    assert done.values["counts"].endswith("/counts.txt")
    assert any("2 lines in " in line for line in done.log)


def test_bad_input_is_not_tried_again_and_says_why(tmp_path: Path) -> None:
    done = run(tmp_path, run_id="first", data="none")
    assert done.state != "success"
    assert done.values["failure"]["kind"] == "bad_input"
    assert any("there is no file://" in line for line in done.log)
