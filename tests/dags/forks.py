"""Processes that have Airflow in memory from the start: forks of one that has loaded it, which takes four seconds.

`python tests/dags/forks.py` reads a request from each line of its standard input: text of Python, arguments and the
environment. It runs that in a fork, as `python -c` would, and answers with the exit code and all that was printed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LOADED = ("airflow.sdk", "airflow.plugins_manager", "airflow.providers.cncf.kubernetes.operators.pod")
"""What every DAG file of ours and every plugin imports of Airflow's: nothing of ours, and no database's migrations."""


class Forks:
    """The process and the way to its forks; `close` ends it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def run(self, code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run text of Python to its end, with these variables besides."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([code, arguments, self._environment | environment]) + "\n")
        answer = self._process.stdout.readline()
        assert answer, "the process that forks is gone"
        return subprocess.CompletedProcess(["python", "-c", code, *arguments], **json.loads(answer))

    def close(self) -> None:
        """End it; no fork is left."""
        self._process.communicate()


def serve() -> None:
    """Answer until there are no more requests."""
    sys.path[0] = ""
    for name in LOADED:
        import_module(name)
    for line in sys.stdin:
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            pid = os.fork()
            if pid == 0:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                _become(*json.loads(line))
            _, status = os.waitpid(pid, 0)
            answer: dict[str, Any] = {"returncode": os.waitstatus_to_exitcode(status)}
            for name, file in (("stdout", out), ("stderr", err)):
                file.seek(0)
                answer[name] = file.read()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _become(code: str, arguments: list[str], environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["-c", *arguments]
    status = 0
    try:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 - a test's own
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    serve()
