"""Runs a command in this image, with parameters of the task's own, and publishes the files it leaves.

Reads: input `data`, where there is one, as the command's standard input; streamed.
Writes: every file of the command's folder `$OUTPUT_FOLDER`, under the same name below the output. Numbers in a
`metrics.json` there become the step's metrics. What the command prints goes to the log, secrets blotted out.
Again: the command runs again and its files replace those of the same names. Nothing is published unless it exits
with 0; its codes 2 (bad input) and 75 (try again later) mean what they mean for every step.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tidegate.step import BadInput, Input, Output, Prefix, Result, StepError, Store, TryAgain, param, publish

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PARAMETER = "PARAM_"
"""Before the name of every variable that carries a parameter: none can replace PATH or a secret."""

FOLDER = "OUTPUT_FOLDER"
METRICS = "metrics.json"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
GRACE = 10
"""Seconds between SIGTERM and SIGKILL for the command when the pod is to go: half of what the step itself has."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What run_command can be told."""

    command: list[str] = param(at_least=1)
    """The program and its arguments, run without a shell: `["sh", "-c", "…"]` asks for one."""
    parameters: dict[str, Any] = param({})
    """Handed to the command as `$PARAM_<name>`: text as it is, everything else as JSON."""
    data: Input | None = None
    """What the command reads on standard input; empty where it is not given."""
    output: Prefix
    """Where the command's files go."""


def run(settings: Settings, store: Store) -> Result:
    """Run the command to its end, then publish."""
    variables = environment(settings.parameters)
    with tempfile.TemporaryDirectory(prefix="run-command-") as name:
        folder = Path(name)
        with _started(settings.command, variables | {FOLDER: name}) as process:
            _feed(process, settings.data, store)
            code = process.wait()
        _refuse(settings.command[0], code)
        metrics = _metrics(folder / METRICS)
        outputs = tuple(_publish(store, settings.output, folder, path) for path in _files(folder))
    return Result(outputs=outputs, metrics=metrics, summary=f"{settings.command[0]} wrote {len(outputs)} file(s)")


def environment(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The variables that carry the parameters; BadInput where a name can be none. Pure."""
    if bad := sorted(name for name in parameters if not NAME.fullmatch(name)):
        raise BadInput(f"parameters {', '.join(map(repr, bad))}: want names of letters, digits and _")
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in parameters.items()}
    if bad := sorted(name for name, text in texts.items() if "\0" in text):
        raise BadInput(f"parameters {', '.join(bad)} hold a null character, which no variable can")
    return {PARAMETER + name: text for name, text in texts.items()}


@contextmanager
def _started(command: list[str], variables: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a group of its own, its words copied to the log; whatever happens, nothing of it lives on."""
    try:
        process = subprocess.Popen(
            command,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise BadInput(f"$TIDEGATE_PARAMS.command cannot be started: {error}; is the program in the image?") from None
    assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
    copying = threading.Thread(target=_copy, args=(process.stdout,), daemon=True)
    copying.start()
    try:
        yield process
    finally:
        _end(process)
        copying.join(GRACE)


def _copy(words: IO[bytes]) -> None:
    """Line by line through our own standard output, which knows the secrets."""
    for line in words:
        sys.stdout.write(line.decode(errors="replace"))
        sys.stdout.flush()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop what is left of the command's group, children that it left behind too."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _feed(process: subprocess.Popen[bytes], data: Input | None, store: Store) -> None:
    """Stream the input in; a command need not read it to its end."""
    assert process.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
    with suppress(BrokenPipeError), process.stdin:
        if data is not None:
            with store.open(data) as body:
                shutil.copyfileobj(body, process.stdin)


def _refuse(program: str, code: int) -> None:
    """The command's exit code in the words of the contract."""
    if code == 0:
        return
    said = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    kinds: dict[int, type[StepError]] = {BadInput.exit_code: BadInput, TryAgain.exit_code: TryAgain}
    raise kinds.get(code, StepError)(f"{program} {said}; what it said stands above")


def _metrics(path: Path) -> dict[str, float]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
        numbers = {str(name): _finite(value) for name, value in found.items()}
    except (ValueError, AttributeError, OverflowError):
        said = path.read_bytes()[:200].decode(errors="replace")
        raise BadInput(f"{METRICS} of the command is {said!r}; want a JSON object of finite numbers") from None
    return numbers


def _finite(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return float(value)


def _files(folder: Path) -> list[Path]:
    """All files, by name; a link could lead out of the folder, so it is refused."""
    found = sorted(folder.rglob("*"))
    if links := [str(path.relative_to(folder)) for path in found if path.is_symlink()]:
        raise BadInput(f"the command left links in ${FOLDER}: {', '.join(links)}; want plain files")
    return [path for path in found if path.is_file()]


def _publish(store: Store, prefix: Prefix, folder: Path, path: Path) -> Output:
    name = path.relative_to(folder).as_posix()
    with path.open("rb") as file:
        return publish(store, name, prefix / name, file)
