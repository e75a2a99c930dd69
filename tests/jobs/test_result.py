"""The result: one write, a pointer where the termination log is too small, nothing left of an earlier one."""

from __future__ import annotations

import json
import math
import os
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from tidegate.step import Output, Result, StepError, Stores, result
from tidegate.step.usage import Usage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.conftest import Place


def outputs(count: int) -> tuple[Output, ...]:
    return tuple(
        Output(name=f"n{number}", url=f"s3://b/{number}", size=number, sha256="0" * 64, etag="e")
        for number in range(count)
    )


def test_a_result_is_json_with_outputs_metrics_and_summary(tmp_path: Path, file_place: Place) -> None:
    made = Result(outputs=outputs(1), metrics={"r2": 0.5}, summary="fine: é")
    result.write(made, str(tmp_path / "new" / "result.json"), store=file_place.store, prefix=None)
    assert json.loads((tmp_path / "new" / "result.json").read_bytes()) == {
        "outputs": [{"name": "n0", "url": "s3://b/0", "size": 0, "sha256": "0" * 64, "etag": "e"}],
        "metrics": {"r2": 0.5},
        "summary": "fine: é",
    }
    assert os.listdir(tmp_path / "new") == ["result.json"]  # noqa: PTH208


def test_what_a_step_used_stands_beside_its_result(tmp_path: Path, file_place: Place) -> None:
    usage = Usage(peak_memory_bytes=1024, cpu_seconds=0.5)
    result.write(Result(), str(tmp_path / "result.json"), store=file_place.store, prefix=None, usage=usage)
    told = json.loads((tmp_path / "result.json").read_bytes())
    assert told["usage"] == {"peak_memory_bytes": 1024, "cpu_seconds": 0.5}


def test_a_long_result_in_the_termination_log_is_a_pointer(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "termination-log"
    log.write_bytes(b"x" * 10_000)
    inode = log.stat().st_ino
    monkeypatch.setattr(result, "TERMINATION_LOG", str(log))
    made = Result(outputs=outputs(40))
    result.write(made, str(log), store=Stores(), prefix=place.root)
    assert log.stat().st_size <= 4096
    assert log.stat().st_ino == inode
    pointer = json.loads(log.read_bytes())
    body = place.store.get(pointer["result_url"])
    assert pointer == {"result_url": place.root / "_RESULT.json", "sha256": sha256(body).hexdigest()}
    assert body == made.to_json()


def test_a_result_of_4096_bytes_still_fits(tmp_path: Path, file_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "termination-log"
    log.touch()
    monkeypatch.setattr(result, "TERMINATION_LOG", str(log))
    empty = len(Result().to_json())
    made = Result(summary="x" * (4096 - empty))
    result.write(made, str(log), store=file_place.store, prefix=file_place.root)
    assert log.read_bytes() == made.to_json()
    assert log.stat().st_size == 4096
    assert list(file_place.store.list(file_place.root)) == []


def test_a_long_result_in_another_file_is_whole(tmp_path: Path, file_place: Place) -> None:
    made = Result(outputs=outputs(40))
    result.write(made, str(tmp_path / "result.json"), store=file_place.store, prefix=file_place.root)
    assert (tmp_path / "result.json").read_bytes() == made.to_json()


def test_a_pipe_is_written_to_not_replaced(tmp_path: Path, file_place: Place) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    result.write(Result(summary="through"), str(tmp_path / "pipe"), store=file_place.store, prefix=None)
    assert json.loads(os.read(reader, 5000))["summary"] == "through"
    os.close(reader)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_metrics_are_finite(value: float) -> None:
    with pytest.raises(StepError, match="metrics r2 are not finite"):
        Result(metrics={"r2": value})
