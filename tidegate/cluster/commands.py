"""Running other programs: what people see of them, and what is kept.

`run` is for long commands: the newest line of output is shown while it runs (on a terminal; elsewhere a line every
half minute), everything goes to `<cache>/run/logs/<log>.log`, whose tail is part of the error. `output` is for short
ones. A command started here ends when this process does, however that ends (Linux with util-linux).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from tidegate.cluster import cache
from tidegate.cluster.errors import CommandFailed, MissingProgram
from tidegate.progress import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from io import TextIOWrapper

    from rich.status import Status

TAIL = 25
"""So many last lines of a failed command are shown."""

HEARTBEAT = 30.0
"""Seconds between signs of life where there is no terminal."""


def run(
    command: Sequence[str | Path],
    *,
    log: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: Path | Iterable[bytes] | None = None,
    ended_by: str = "TERM",
) -> None:
    """Run a long command; raises CommandFailed with the tail of its output, or what making its input raised.

    Args:
        command: Its words.
        log: Names the log file and the line people see; a second run with the same name replaces the log.
        env: Added to the environment.
        cwd: Where it runs.
        stdin: A file to read, or pieces to read in their order; nothing otherwise.
        ended_by: The signal that it gets when this process is gone.
    """
    words = [str(word) for word in command]
    path = cache.folder("run", "logs") / f"{log}.log"
    tail: deque[str] = deque(maxlen=TAIL)
    with path.open("w") as keep, _input(stdin) as source, _ticker.following(log) as show:
        with _start(words, env=env, cwd=cwd, stdin=source, ended_by=ended_by) as process, _fed(process, stdin):
            assert process.stdout is not None  # noqa: S101
            for line in process.stdout:
                keep.write(line)
                keep.flush()
                tail.append(line.rstrip())
                show(line)
        code = process.wait()
    if code:
        raise CommandFailed(words, code, "\n".join(tail), log=path)


def output(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float = 120,
) -> str:
    """Return what a short command prints on standard output; raises CommandFailed with what it said."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, env=_environment(env), input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
    except FileNotFoundError:
        raise MissingProgram(f"`{words[0]}` is not installed") from None
    except subprocess.TimeoutExpired:
        raise CommandFailed(words, -9, f"no answer within {timeout:.0f} s") from None
    if done.returncode:
        raise CommandFailed(words, done.returncode, (done.stderr.strip() or done.stdout.strip())[-4000:])
    return done.stdout


def succeeds(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, timeout: float = 60) -> bool:
    """Tell whether a short command ends with code 0; a missing program, or no answer in time, is a no."""
    try:
        output(command, env=env, timeout=timeout)
    except (CommandFailed, MissingProgram):
        return False
    return True


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, **(extra or {})}


def _start(
    words: list[str], *, env: Mapping[str, str] | None, cwd: Path | None, stdin: IO[bytes] | int, ended_by: str
) -> subprocess.Popen[str]:
    tied = ["setpriv", "--pdeathsig", ended_by, "--"] if shutil.which("setpriv") else []
    if shutil.which(words[0]) is None:
        raise MissingProgram(f"`{words[0]}` is not installed")
    return subprocess.Popen(
        [*tied, *words],
        env=_environment(env),
        cwd=cwd,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


@contextmanager
def _input(source: Path | Iterable[bytes] | None) -> Iterator[IO[bytes] | int]:
    if isinstance(source, Path):
        with source.open("rb") as handle:
            yield handle
    else:
        yield subprocess.DEVNULL if source is None else subprocess.PIPE


@contextmanager
def _fed(process: subprocess.Popen[str], source: Path | Iterable[bytes] | None) -> Iterator[None]:
    """Write the pieces beside the block; a command that ends before the last one tells by its code how that was."""
    if process.stdin is None or source is None or isinstance(source, Path):
        yield
        return
    with ThreadPoolExecutor(1) as beside:
        fed = beside.submit(_feed, cast("TextIOWrapper", process.stdin), source)
        yield
        fed.result()


def _feed(pipe: TextIOWrapper, pieces: Iterable[bytes]) -> None:
    with suppress(BrokenPipeError), pipe:
        for piece in pieces:
            pipe.buffer.write(piece)


class _Ticker:
    """The newest line of every command that runs now, in one status line."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[str, str] = {}
        self._status: Status | None = None

    @contextmanager
    def following(self, name: str) -> Iterator[Callable[[str], None]]:
        """Show lines of `name` until the block ends; yields the function that takes a line."""
        started = beat = time.monotonic()
        self._set(name, "")

        def show(line: str) -> None:
            nonlocal beat
            self._set(name, line.strip())
            now = time.monotonic()
            if not console.is_terminal and now - beat > HEARTBEAT:
                beat = now
                console.print(f"  {name}: {now - started:.0f} s, {line.strip()[:100]}", markup=False)

        try:
            yield show
        finally:
            self._set(name, None)

    def _set(self, name: str, line: str | None) -> None:
        with self._lock:
            if line is None:
                self._lines.pop(name, None)
            else:
                self._lines[name] = line
            if console.is_terminal:
                self._draw()

    def _draw(self) -> None:
        if not self._lines:
            if self._status:
                self._status.stop()
                self._status = None
            return
        room = max(20, console.width // len(self._lines) - 6)
        text = "  |  ".join(f"{name}: {line}"[:room] for name, line in self._lines.items())
        if self._status is None:
            self._status = console.status("")
            self._status.start()
        self._status.update(text.replace("[", "\\["))


_ticker = _Ticker()
