"""The edge of a step: environment in, exit code out, and nothing in between that is not the step's own.

Reads: the environment and the clock's signals. Writes: the result; or what it used so far, and on standard error what
went wrong, as the last lines of all, since Kubernetes shows the end of the log where a container left no message.
Again: as the step itself.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import traceback
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.step import result as results
from tidegate.step.errors import BadSettings, StepError, Stopped
from tidegate.step.explain import explain
from tidegate.step.secret import Redacted, redact, secret_values
from tidegate.step.settings import fields_of, read, secrets_of
from tidegate.step.stores import Stores
from tidegate.step.urls import Input, Prefix
from tidegate.step.usage import used

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType, ModuleType

    from tidegate.step.result import Result

log = logging.getLogger(__name__)

STILL_TO_SAY = 3500
"""Bytes of a message at most: the operator sees 4096 of a failed pod's end."""


GRACE = 20
"""Seconds after SIGTERM until the process ends in any case; Kubernetes gives it 30."""


SERVE = "serve"
"""The argument that makes a service of a step which can be one."""


def main(step: str, module: ModuleType, arguments: Sequence[str]) -> int:
    """Run one step: `module` has `Settings` and `run(settings, store) -> Result`. Returns the exit code.

    A step that can be a service has a module `service` with `Settings` and `serve(settings)`, which runs until SIGTERM.
    """
    service = getattr(module, "service", None) if SERVE in arguments else None
    if {"-h", "--help"} & set(arguments):
        sys.stdout.write(explain(f"{step} {SERVE}", service) if service else explain(step, module))
        return 0
    secrets = secret_values(os.environ, declared=secrets_of((service or module).Settings, os.environ))
    sys.stdout, sys.stderr = Redacted(sys.stdout, secrets), Redacted(sys.stderr, secrets)
    signal.signal(signal.SIGTERM, _stop)
    _log_to_standard_output()
    try:
        _refuse(arguments[1:] if service else arguments)
        if service:
            service.serve(read(service.Settings, os.environ))
        else:
            _run(step, module, os.environ, secrets)
    except Stopped as error:
        _say_last(step, error, secrets)
        os._exit(error.exit_code)  # threads of a library must not hold up a pod that is to go
    except (Exception, KeyboardInterrupt) as error:
        return _failed(step, error, module, secrets)
    return 0


def _refuse(arguments: Sequence[str]) -> None:
    if arguments:
        raise BadSettings(f"{' '.join(arguments)!r} is not understood; settings come from the environment, see --help")


def _run(step: str, module: ModuleType, environ: Mapping[str, str], secrets: set[str]) -> None:
    path = _result_path(environ)
    results.forget(path)
    settings = read(module.Settings, environ)
    store = Stores()
    result: Result = module.run(settings, store)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # all is published: what is left is to say so
    prefix = environ.get("TIDEGATE_OUTPUT")
    result = replace(result, summary=redact(result.summary, secrets))
    results.write(result, path, store=store, prefix=Prefix(prefix) if prefix else None, usage=used())
    log.info("%s: %s", step, result.summary)


def _result_path(environ: Mapping[str, str]) -> str:
    """Where the result goes; said before the work is done rather than after it."""
    path = environ.get("TIDEGATE_RESULT") or results.TERMINATION_LOG
    if path == results.TERMINATION_LOG and not Path(path).exists():
        raise BadSettings(f"$TIDEGATE_RESULT is not set and there is no {path} outside a pod; set it to a file's path")
    return path


def _failed(step: str, error: BaseException, module: ModuleType, secrets: set[str]) -> int:
    """Say what went wrong; with its trace where it is none of the faults a step knows."""
    code = error.exit_code if isinstance(error, StepError) else 1
    if not isinstance(error, StepError):
        sys.stderr.write("".join(traceback.format_exception(error)))
    _say_last(step, error, secrets, where=_setting_of(error, module))
    return code


def _say_last(step: str, error: BaseException, secrets: set[str], *, where: str = "") -> None:
    text = str(error) if isinstance(error, StepError | Stopped) else f"{type(error).__name__}: {error}"
    text = "out of memory; raise the step's memory limit" if isinstance(error, MemoryError) else text
    sys.stdout.write(json.dumps({"usage": asdict(used())}) + "\n")
    sys.stdout.flush()
    for line in redact(text, secrets)[:STILL_TO_SAY].splitlines() or [type(error).__name__]:
        sys.stderr.write(f"{step}: {where}{line}\n")
    sys.stderr.flush()


def _setting_of(error: BaseException, module: ModuleType) -> str:
    """The variable that names the URL at fault: `$TIDEGATE_INPUTS.data: `."""
    url = getattr(error, "url", "")
    if not url:
        return ""
    try:
        settings = read(module.Settings, os.environ)
    except StepError:
        return ""
    for field, kind in fields_of(module.Settings):
        value = getattr(settings, field.name)
        if kind is Input and value == url:
            return f"$TIDEGATE_INPUTS.{field.name}: "
        if kind is Prefix and value and url.startswith(value):
            return "$TIDEGATE_OUTPUT: "
    return ""


def _stop(_: int, __: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(GRACE)  # for a library that holds on to the thread: what is half written is hidden anyway
    raise Stopped("stopped by SIGTERM; nothing that was under way is published")


def _log_to_standard_output() -> None:
    """Our own lines from INFO, those of libraries from WARNING: some would print whole requests."""
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(asctime)s %(message)s", force=True)
    for name in ("tidegate", "jobs"):
        logging.getLogger(name).setLevel(logging.INFO)
