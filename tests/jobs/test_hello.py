"""hello: the smallest step, and the list of steps it stands in."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from tests.jobs.servers import ROOT
from tests.jobs.steps import environment, files, fork_step, run_step

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.conftest import Place


def test_hello_greets_and_tells_what_it_wrote(tmp_path: Path) -> None:
    environ = environment(tmp_path, params={"name": "Tidegate"})
    done = run_step("hello", environ)
    assert (done.code, done.error) == (0, "")
    written = (tmp_path / "out" / "greeting.txt").read_bytes()
    assert written == b"Hello, Tidegate!\n"
    assert done.result is not None
    output = done.result["outputs"][0]
    assert output["url"] == (tmp_path / "out" / "greeting.txt").as_uri()
    assert (output["name"], output["size"]) == ("greeting", 17)
    assert output["sha256"] == sha256(written).hexdigest()
    assert done.result["summary"] == "Hello, Tidegate!"


def test_hello_greets_the_world_in_every_store(place: Place, tmp_path: Path) -> None:
    done = fork_step("hello", environment(tmp_path, output=place.root) | dict(place.server.environment))
    assert done.code == 0, done.error
    assert place.store.get(place.root / "greeting.txt") == b"Hello, world!\n"


def test_again_the_greeting_that_is_there_is_left_as_it_is(place: Place, tmp_path: Path) -> None:
    environ = environment(tmp_path, output=place.root) | dict(place.server.environment)
    versions = []
    for _ in range(2):
        done = fork_step("hello", environ)
        assert done.code == 0, done.error
        assert done.result is not None
        versions.append((done.result["outputs"], place.store.stat(place.root / "greeting.txt")))
    assert versions[0] == versions[1]


def test_lines_are_numbered_and_spread_over_the_seconds(tmp_path: Path) -> None:
    start = time.monotonic()
    done = fork_step("hello", environment(tmp_path, params={"lines": 4, "seconds": 1.2}))
    assert done.code == 0, done.error
    assert time.monotonic() - start >= 1.2
    said = [line.split() for line in done.out.splitlines() if " line " in line]
    assert [words[-4:] for words in said] == [["line", str(number), "of", "4"] for number in (1, 2, 3, 4)]
    times = [datetime.fromisoformat(" ".join(words[:2]).replace(",", ".")) for words in said]
    assert (times[-1] - times[0]).total_seconds() == pytest.approx(0.9, abs=0.25)


def test_stopped_while_it_waits_it_has_published_nothing(tmp_path: Path) -> None:
    environ = environment(tmp_path, params={"lines": 1, "seconds": 60})
    command = [sys.executable, "-m", "jobs", "hello"]
    with subprocess.Popen(command, env=environ, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert b"line 1 of 1" in process.stdout.readline()
        process.terminate()
        assert process.wait(30) != 0
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "settings", [{"lines": -1}, {"lines": 100_001}, {"seconds": -0.1}, {"seconds": "long"}], ids=str
)
def test_work_that_cannot_be_done_is_refused(tmp_path: Path, settings: dict[str, object]) -> None:
    done = fork_step("hello", environment(tmp_path, params=settings))
    assert done.code == 2
    assert f"$TIDEGATE_PARAMS.{next(iter(settings))} is " in done.last_line


@pytest.mark.parametrize("name", ["", "x" * 201, 7])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: object) -> None:
    done = fork_step("hello", environment(tmp_path, params={"name": name}))
    assert done.code == 2
    assert done.last_line.startswith("hello: $TIDEGATE_PARAMS.name is ")
    assert files(tmp_path) == []


def _jobs(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m jobs` with a Python that finds nothing but the standard library."""
    command = [sys.executable, "-S", "-m", "jobs", *arguments]
    return subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, timeout=60, check=False)


def test_jobs_lists_the_steps_without_any_of_their_libraries() -> None:
    done = _jobs()
    assert done.returncode == 0
    for step in ("hello", "train_model", "upload_model"):
        assert f"\n  {step} " in done.stdout


@pytest.mark.parametrize("step", ["hello", "train_model", "upload_model"])
def test_help_needs_none_of_a_steps_libraries(step: str) -> None:
    done = _jobs(step, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"python -m jobs {step}\n")
    assert "$TIDEGATE_OUTPUT" in done.stdout


def test_an_unknown_step_is_named() -> None:
    done = _jobs("helo")
    assert done.returncode == 2
    assert "there is no step 'helo' here" in done.stderr
