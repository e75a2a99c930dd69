"""Runs steps in forks of one process that has loaded Azure's SDK already: loading it takes longer than a step here.

`python tests/dags/warm_steps.py serve SOCKET` is that process; `… ask SOCKET STEP` is what stands for a step's image:
it hands its environment and its standard output over, passes SIGTERM on, and ends as the step does. A step that begins
anew in a virtual environment stays in its fork, which then finds that environment's packages first: that it becomes
that environment's Python, `tests/jobs/azure_ml/test_virtualenv.py` shows. The stand-in's is the one authority trusted:
to read all the public ones for each of the SDK's connections takes longer than what it asks.
"""

# ruff: noqa: PLC0415 - who asks is started for every step, and imports nothing that only the other needs

from __future__ import annotations

import array
import json
import os
import signal
import socket
import sys

LOADED = ("jobs.azure_ml.work", "jobs.azure_ml.transport", "azure.identity", "azure.ai.ml.automl", "msal_extensions")
"""The last three are imported by whoever signs in, or submits a job of AutoML."""


def ask(path: str, step: str) -> int:
    """Have a step run with this process's environment; return its exit code."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(path)
        descriptors = array.array("i", [sys.stdout.fileno()])
        request = json.dumps({"step": step, "environment": dict(os.environ)}).encode()
        channel.sendmsg([len(request).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
        channel.sendall(request)
        pid = int(_line(channel))
        signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
        return int(_line(channel))


def serve(path: str) -> None:
    """Answer until killed."""
    import gc
    import importlib
    import warnings
    from pathlib import Path

    import certifi

    warnings.simplefilter("ignore")
    gc.disable()
    for name in LOADED:
        importlib.import_module(name)
    none = Path(f"{path}.pem")
    none.touch()
    certifi.where = lambda: str(none)
    gc.freeze()
    gc.enable()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(16)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            channel, _ = server.accept()
            if os.fork() == 0:
                server.close()
                _handle(channel)
            channel.close()


def _handle(channel: socket.socket) -> None:
    """Fork once more: this one waits for the step, and says how it ended."""
    length, ancillary, _, _ = channel.recvmsg(4, socket.CMSG_SPACE(4))
    output = array.array("i", ancillary[0][2])[0]
    request = b""
    while len(request) < int.from_bytes(length, "big"):
        request += channel.recv(65536)
    told = json.loads(request)
    pid = os.fork()
    if pid == 0:
        channel.close()
        _become(told["step"], told["environment"], output)
    os.close(output)
    channel.sendall(f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    channel.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(step: str, environment: dict[str, str], output: int) -> None:
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    os.execve = lambda python, _, given: _begin_anew(step, python, given)
    _run(step)


def _begin_anew(step: str, python: str, environment: dict[str, str]) -> None:
    """In this process, with the packages of that Python before all others."""
    from pathlib import Path

    sys.path[:0] = map(str, Path(python).parents[1].glob("lib/python*/site-packages"))
    os.environ.update(environment)
    _run(step)


def _run(step: str) -> None:
    from importlib import import_module

    from tidegate.step.runner import main

    code = main(step, import_module(f"jobs.{step}"), [])
    sys.stdout.flush()
    os._exit(code)


def _line(channel: socket.socket) -> str:
    text = b""
    while not text.endswith(b"\n"):
        part = channel.recv(1)
        if not part:
            raise SystemExit("the process that runs steps is gone")
        text += part
    return text.decode()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    sys.exit(ask(*sys.argv[2:]))
