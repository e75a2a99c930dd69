"""Steps as processes that are forked from one which has loaded their libraries: to load them takes longer than a step.

`run` and `Program` are `subprocess.run` and `subprocess.Popen` for what follows `python` on a command line:
`-m MODULE`, `-c TEXT` or a file. The process has the variables, the folder and the streams that it is given, and
nothing else of ours. That a new interpreter does the same, `steps.run_step` shows: each step is run by it, too.
`python -m tests.forked` is the process that forks; it ends with the tests.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types
import warnings
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from select import select
from typing import TYPE_CHECKING, BinaryIO, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
Variables = tuple[tuple[str, str], ...]

LOADED = (
    *(f"jobs.{name}" for name in ("call_service", "check_weather", "fetch_weather", "hello", "run_command")),
    *(f"jobs.train_model.{name}" for name in ("forest", "plots", "table")),
    *("jobs.upload_model", "azure.storage.filedatalake", "tests.boto"),
    *(f"tidegate.step.stores.{name}" for name in ("abfss", "file", "s3")),
)
"""What the process that forks imports, with all that this imports in its turn; each such list has a process."""


class Program:
    """A process; `stdout` is what it says there and, where no other place is named, on standard error."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path = ROOT,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        loaded: tuple[str, ...] = LOADED,
        variables: Variables = (),
    ) -> None:
        """`variables` are those of the process that forks, besides ours: it reads them while it loads."""
        self._ended: int | None = None
        read, write = os.pipe()
        self.stdout: BinaryIO = os.fdopen(read, "rb")
        status, told = os.pipe()
        self._status: BinaryIO = os.fdopen(status, "rb", buffering=0)
        with tempfile.TemporaryFile() as request, open(os.devnull, "rb") as nothing:  # noqa: PTH123
            request.write(json.dumps({"arguments": [*arguments], "env": dict(env), "cwd": str(cwd)}).encode())
            request.seek(0)
            out = write if stdout is None else stdout
            streams = [nothing.fileno() if stdin is None else stdin, out, out if stderr is None else stderr]
            socket.send_fds(_server(loaded, variables), [b"x"], [request.fileno(), told, *streams])
        os.close(write)
        os.close(told)
        self.pid = int(self._line(60))

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait(60)
        self.stdout.close()
        self._status.close()

    def send_signal(self, number: int) -> None:
        """Send one, unless it has ended."""
        if self._ended is None and not select([self._status], [], [], 0)[0]:
            with suppress(ProcessLookupError):  # it ended just now
                os.kill(self.pid, number)

    def kill(self) -> None:
        """As `kill -9`."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float) -> int:
        """Its exit code, or the negative number of the signal that ended it."""
        if self._ended is None:
            self._ended = int(self._line(timeout))
        return self._ended

    def _line(self, timeout: float) -> bytes:
        text, deadline = b"", time.monotonic() + timeout
        while not text.endswith(b"\n"):
            if not select([self._status], [], [], max(0, deadline - time.monotonic()))[0]:
                raise subprocess.TimeoutExpired("a forked program", timeout)
            part = self._status.read(1)
            if not part:
                raise EOFError("the process that forks is gone; see what it said above")
            text += part
        return text


def run(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path = ROOT,
    given: bytes = b"",
    timeout: float = 300,
    loaded: tuple[str, ...] = LOADED,
    variables: Variables = (),
) -> subprocess.CompletedProcess[str]:
    """Run to its end, and tell what it said."""
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        stdin.write(given)
        stdin.seek(0)
        streams = {"stdin": stdin.fileno(), "stdout": out.fileno(), "stderr": error.fileno()}
        with Program(arguments, env=env, cwd=cwd, loaded=loaded, variables=variables, **streams) as program:
            try:
                code = program.wait(timeout)
            except subprocess.TimeoutExpired:
                program.kill()
                raise
        out.seek(0)
        error.seek(0)
        return subprocess.CompletedProcess([*arguments], code, out.read().decode(), error.read().decode())


@cache
def _server(loaded: tuple[str, ...], variables: Variables) -> socket.socket:
    """The way to the process that forks, begun when it is first wanted; it ends once nobody holds the other end."""
    ours, its = socket.socketpair()
    command = [sys.executable, "-m", "tests.forked", str(its.fileno()), *loaded]
    process = subprocess.Popen(command, cwd=ROOT, pass_fds=[its.fileno()], env={**os.environ, **dict(variables)})
    its.close()
    atexit.register(process.wait, 10)
    atexit.register(ours.close)  # before the one above
    return ours


def serve(channel: socket.socket, loaded: Sequence[str]) -> None:
    """Fork for each request until nobody can send one; to look for garbage is a sixth of what loading takes."""
    gc.disable()
    with warnings.catch_warnings(action="ignore"):
        for name in loaded:
            import_module(name)
    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        word, received, _, _ = socket.recv_fds(channel, 1, 5)
        if not word:
            return
        if not os.fork():
            channel.close()
            _keep(*received)
        for one in received:
            os.close(one)


def _keep(request: int, told: int, *streams: int) -> NoReturn:
    """Fork once more: this one waits for the program, and tells how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with os.fdopen(request, "rb") as file:
        wanted = json.load(file)
    pid = os.fork()
    if not pid:
        os.close(told)
        _become(wanted["arguments"], wanted["env"], wanted["cwd"], streams)
    for one in streams:
        os.close(one)
    os.write(told, f"{pid}\n".encode())
    os.write(told, f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n".encode())
    os._exit(0)


def _become(arguments: list[str], env: dict[str, str], cwd: str, streams: Sequence[int]) -> NoReturn:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    tempfile.tempdir = None  # as it follows from the variables
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    code = _executed(arguments)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _executed(arguments: list[str]) -> int:
    """What the interpreter would exit with."""
    try:
        if arguments[0] == "-m":
            sys.argv = ["", *arguments[2:]]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        elif arguments[0] == "-c":
            sys.argv = ["-c", *arguments[2:]]
            sys.modules["__main__"] = types.ModuleType("__main__")
            exec(arguments[1], vars(sys.modules["__main__"]))  # noqa: S102 - a test's own program
        else:
            sys.argv = [*arguments]
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
