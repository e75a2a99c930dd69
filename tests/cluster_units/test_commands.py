"""Output is kept, errors carry its tail, and nothing outlives the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tidegate.cluster import commands, host
from tidegate.cluster.errors import CommandFailed, MissingProgram
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_run_keeps_all_output_and_shows_the_tail_of_a_failure(own_cache: Path) -> None:
    with pytest.raises(CommandFailed) as caught:
        commands.run(["sh", "-c", "for i in $(seq 100); do echo line $i; done; exit 3"], log="counting")
    assert caught.value.code == 3
    assert caught.value.tail.splitlines()[-1] == "line 100"
    assert "line 99" in str(caught.value)
    assert "line 10\n" not in caught.value.tail
    log = own_cache / "run" / "logs" / "counting.log"
    assert caught.value.log == log
    assert len(log.read_text().splitlines()) == 100
    assert str(log) in str(caught.value)


def test_run_gives_environment_folder_and_input(tmp_path: Path, own_cache: Path) -> None:
    source = tmp_path / "source"
    source.write_text("given")
    commands.run(["sh", "-c", 'echo "$WORD" "$(pwd)" "$(cat)"'], log="l", env={"WORD": "w"}, cwd=tmp_path, stdin=source)
    assert (own_cache / "run" / "logs" / "l.log").read_text() == f"w {tmp_path} given\n"


def test_pieces_are_written_as_they_are_made(own_cache: Path) -> None:
    commands.run(["sh", "-c", "wc -c; echo done"], log="l", stdin=(b"x" * 100_000 for _ in range(20)))
    assert (own_cache / "run" / "logs" / "l.log").read_text() == "2000000\ndone\n"
    with pytest.raises(CommandFailed, match="ended with code 4"):
        commands.run(["sh", "-c", "exit 4"], log="l", stdin=(b"x" * 100_000 for _ in range(20)))


def test_what_making_the_input_raised_is_raised_and_the_command_ends(own_cache: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"one"
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        commands.run(["cat"], log="l", stdin=pieces())
    assert (own_cache / "run" / "logs" / "l.log").read_text() == "one"


def test_output_names_what_failed_and_what_is_missing() -> None:
    assert commands.output(["cat"], stdin="text") == "text"
    with pytest.raises(CommandFailed, match="broken"):
        commands.output(["sh", "-c", "echo broken >&2; exit 1"])
    with pytest.raises(CommandFailed, match=r"no answer within 0 s"):
        commands.output(["sleep", "5"], timeout=0.2)
    with pytest.raises(MissingProgram, match="no-such-program"):
        commands.output(["no-such-program"])
    with pytest.raises(MissingProgram, match="no-such-program"):
        commands.run(["no-such-program"], log="l")
    assert not commands.succeeds(["no-such-program"])
    assert not commands.succeeds(["false"])
    assert commands.succeeds(["true"])


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="the machine has no /proc")
def test_a_command_ends_with_the_process_that_started_it() -> None:
    mark = f"9{os.getpid()}.25"
    code = f"from tidegate.cluster import commands; commands.run(['sleep', '{mark}'], log='sleeps')"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as parent:
        _until(lambda: len(_sleeping(mark)) == 1)
        parent.send_signal(signal.SIGKILL)
    _until(lambda: not _sleeping(mark))


def _sleeping(mark: str) -> list[int]:
    return [pid for pid in host.processes_naming("sleep\0", mark) if host.runs(pid)]


def _until(true: object, *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline, "did not come true"
        time.sleep(0.05)
