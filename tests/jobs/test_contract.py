"""The contract is environment, files and exit codes: a step in POSIX shell keeps it, and is believed."""

from __future__ import annotations

import json
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.jobs.steps import environment, files, result_of

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "examples" / "count_lines" / "count_lines.sh"
TEXT = b"one\n\n  \nfour\n"
TERMINATION_MESSAGE = 4096
"""Bytes that Kubernetes keeps of it."""


def run(environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """As a container is started: with the contract's variables, and a PATH."""
    known = {**environ, "PATH": "/usr/bin:/bin"}
    return subprocess.run(["sh", SCRIPT], env=known, capture_output=True, text=True, timeout=60, check=False)


def given(folder: Path, **params: object) -> dict[str, str]:
    (folder / "text").write_bytes(TEXT)
    return environment(folder, params=params, inputs={"data": (folder / "text").as_uri()})


@pytest.mark.parametrize(("params", "lines"), [({}, 4), ({"blank": True}, 4), ({"blank": False}, 2)])
def test_what_it_was_told_comes_in_and_its_result_goes_out(
    tmp_path: Path, params: dict[str, object], lines: int
) -> None:
    environ = given(tmp_path, **params)
    done = run(environ)
    assert (done.returncode, done.stderr) == (0, "")
    written = (tmp_path / "out" / "counts.txt").read_bytes()
    assert written == b"%d\n" % lines
    result = result_of(environ)
    assert result == {
        "outputs": [
            {
                "name": "counts",
                "url": (tmp_path / "out" / "counts.txt").as_uri(),
                "size": len(written),
                "sha256": sha256(written).hexdigest(),
                "etag": "",
            }
        ],
        "metrics": {"lines": lines},
        "summary": f"{lines} lines",
    }
    assert Path(environ["TIDEGATE_RESULT"]).stat().st_size <= TERMINATION_MESSAGE


def test_again_it_writes_the_same_bytes_and_leaves_nothing_beside_them(tmp_path: Path) -> None:
    environ = given(tmp_path)
    results = [(run(environ).returncode, result_of(environ)) for _ in range(2)]
    assert results[0] == results[1]
    assert results[0][0] == 0
    assert files(tmp_path / "out") == ["counts.txt"]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "parameter": ({"TIDEGATE_PARAMS": '{"blank": "perhaps"}'}, "$TIDEGATE_PARAMS.blank is 'perhaps'"),
    "no input": ({"TIDEGATE_INPUTS": "{}"}, "$TIDEGATE_INPUTS.data is ''"),
    "store": ({"TIDEGATE_OUTPUT": "gs://x"}, "$TIDEGATE_OUTPUT is 'gs://x'"),
    "not there": ({"TIDEGATE_INPUTS": '{"data": "file:///nowhere/x"}'}, "there is no file:///nowhere/x"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_worked_with_is_exit_code_2_and_writes_nothing(tmp_path: Path, case: str) -> None:
    changed, told = BAD[case]
    environ = given(tmp_path) | changed
    done = run(environ)
    assert done.returncode == 2
    assert told in done.stderr
    assert result_of(environ) is None
    assert files(tmp_path) == ["text"]


def test_an_output_that_cannot_be_written_is_a_failure_that_may_be_tried_again(tmp_path: Path) -> None:
    environ = given(tmp_path)
    (tmp_path / "out").write_text("a file where a folder should be")
    done = run(environ)
    assert done.returncode not in (0, 2, 75)
    assert result_of(environ) is None


def test_its_result_is_json_of_the_contracts_names(tmp_path: Path) -> None:
    environ = given(tmp_path)
    run(environ)
    text = Path(environ["TIDEGATE_RESULT"]).read_text()
    assert set(json.loads(text)) == {"outputs", "metrics", "summary"}
