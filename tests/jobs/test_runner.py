"""The edge of every step: exit codes, last words, SIGTERM, and no secret in anything that is printed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests import forked
from tests.jobs.servers import ROOT
from tests.jobs.steps import environment, files, result_of

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "open+sesame/and=more"

STEP = '''
"""Tries what a step can do."""
import sys, time, types
from dataclasses import dataclass
from tidegate.step import *
from tidegate.step.stores.protocol import CHUNK

@dataclass(frozen=True, kw_only=True)
class Settings:
    """Tries."""
    key: Secret = secret("SERVICE_PHRASE")
    data: Input | None = None
    output: Prefix

class Slow:
    left = 300
    def read(self, size, /):
        print("reading", flush=True)
        time.sleep(0.1)
        self.left -= 1
        return b"x" * size if self.left else b""

def run(settings, store):
    {body}

module = types.ModuleType("tried", __doc__)
module.Settings, module.run = Settings, run
sys.exit(main("try_it", module, sys.argv[1:]))
'''


def command(body: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", STEP.replace("{body}", body), *arguments]


def ended(body: str, environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return forked.run(command(body, *arguments)[1:], env=environ, timeout=60)


def ended_alone(body: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """In a new interpreter, as in a pod."""
    return subprocess.run(command(body), env=environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path) | {"SERVICE_PHRASE": SECRET}


FINE = "return Result(summary='done well')"


def test_done_is_0_and_leaves_a_result(environ: dict[str, str]) -> None:
    done = ended_alone(FINE, environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(" try_it: done well\n")
    result = result_of(environ)
    used = result.pop("usage")
    assert result == {"outputs": [], "metrics": {}, "summary": "done well"}
    assert used["peak_memory_bytes"] > 1_000_000
    assert 0 < used["cpu_seconds"] < 60


def test_what_its_own_processes_used_is_the_steps(environ: dict[str, str]) -> None:
    big = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'b = bytearray(200_000_000)'], check=True)"
    done = ended_alone(f"{big}\n    {FINE}", environ)
    assert done.returncode == 0, done.stderr
    assert result_of(environ)["usage"]["peak_memory_bytes"] > 200_000_000


@pytest.mark.parametrize(
    ("body", "code", "last"),
    [
        ("raise BadInput('the file is odd')", 2, "try_it: the file is odd"),
        ("raise TryAgain('come back')", 75, "try_it: come back"),
        ("raise StepError('it failed')", 1, "try_it: it failed"),
        ("raise KeyError('x')", 1, "try_it: KeyError: 'x'"),
        ("raise MemoryError", 1, "try_it: out of memory; raise the step's memory limit"),
        ("raise NotFound('not there', url='file:///data.csv')", 2, "try_it: $TIDEGATE_INPUTS.data: not there"),
        ("raise NoBucket('no bucket', url=settings.output / 'x')", 2, "try_it: $TIDEGATE_OUTPUT: no bucket"),
    ],
)
def test_the_exit_code_and_the_last_line_say_what_happened(
    environ: dict[str, str], body: str, code: int, last: str
) -> None:
    environ["TIDEGATE_INPUTS"] = json.dumps({"data": "file:///data.csv"})
    done = ended(f"print('before'); {body}", environ)
    assert done.returncode == code
    assert done.stderr.splitlines()[-1] == last
    assert json.loads(done.stdout.splitlines()[-1])["usage"]["peak_memory_bytes"] > 1_000_000
    assert ("Traceback" in done.stderr) == (code == 1 and "it failed" not in last)
    assert result_of(environ) is None


def test_a_failure_leaves_no_earlier_result(environ: dict[str, str]) -> None:
    assert ended(FINE, environ).returncode == 0
    assert ended("raise BadInput('no')", environ).returncode == 2
    assert result_of(environ) is None


def test_all_bad_settings_are_the_last_lines(environ: dict[str, str]) -> None:
    environ |= {"TIDEGATE_PARAMS": '{"speed": 1}', "TIDEGATE_OUTPUT": "", "SERVICE_PHRASE": ""}
    done = ended(FINE, environ)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "try_it: $SERVICE_PHRASE is not set; want a secret, from the step's own Kubernetes Secret",
        "try_it: $TIDEGATE_OUTPUT is not set; want a URL, s3://, abfss:// or file://",
        "try_it: $TIDEGATE_PARAMS has 'speed', want none",
    ]


def test_outside_a_pod_the_result_wants_a_place(environ: dict[str, str]) -> None:
    del environ["TIDEGATE_RESULT"]
    done = ended(FINE, environ)
    assert done.returncode == 2
    assert "$TIDEGATE_RESULT is not set" in done.stderr


def test_arguments_are_refused(environ: dict[str, str]) -> None:
    done = ended(FINE, environ, "--key=1")
    assert done.returncode == 2
    assert "'--key=1' is not understood; settings come from the environment" in done.stderr


@pytest.mark.parametrize(
    "body",
    [
        "raise RuntimeError('GET https://x/?appid=' + settings.key.reveal())",
        "raise BadInput('refused: ' + settings.key.reveal())",
        "import urllib.parse; raise BadInput('refused: ' + urllib.parse.quote(settings.key.reveal(), safe=''))",
        "raise RuntimeError(settings)",
        "print(settings, settings.key, settings.key.reveal()); raise StepError('x')",
        "import logging; logging.getLogger('jobs.x').info('key %s', settings.key.reveal()); raise StepError('x')",
        "import warnings; warnings.warn(settings.key.reveal()); raise StepError('x')",
        "return Result(summary='with ' + repr(settings))",
        "return Result(summary='with ' + settings.key.reveal())",
    ],
)
def test_no_secret_is_in_anything_that_is_left_behind(environ: dict[str, str], tmp_path: Path, body: str) -> None:
    done = ended(body, environ)
    left = done.stdout + done.stderr + "".join((tmp_path / name).read_text() for name in files(tmp_path))
    assert "***" in left
    assert "sesame" not in left


def test_sigterm_in_mid_write_publishes_nothing_and_says_so(environ: dict[str, str], tmp_path: Path) -> None:
    body = "publish(store, 'x', settings.output / 'x', Slow()); return Result()"
    with subprocess.Popen(
        command(body), env=environ, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as step:
        assert step.stdout is not None
        assert step.stdout.readline() == "reading\n"
        step.send_signal(signal.SIGTERM)
        start = time.monotonic()
        _, error = step.communicate(timeout=30)
    assert time.monotonic() - start < 15  # all of it takes thirty
    assert step.returncode == 143
    assert error == "try_it: stopped by SIGTERM; nothing that was under way is published\n"
    assert files(tmp_path) == []


def test_sigterm_is_not_caught_by_what_catches_exceptions(environ: dict[str, str]) -> None:
    body = "print('ready', flush=True)\n    try:\n        time.sleep(30)\n    except Exception:\n        time.sleep(30)"
    with subprocess.Popen(command(body), env=environ, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as step:
        assert step.stdout is not None
        step.stdout.readline()
        step.send_signal(signal.SIGTERM)
        step.communicate(timeout=10)
    assert step.returncode == 143


def test_importing_the_runtime_needs_the_standard_library_alone() -> None:
    program = "import sys, tidegate.step; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    others = set(done.stdout.split()) - set(sys.stdlib_module_names)
    assert {name for name in others if not name.startswith(("_", "tidegate"))} <= {"sitecustomize", "usercustomize"}
