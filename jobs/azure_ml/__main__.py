"""The same as a command line for people: `python -m jobs.azure_ml job submit --spec job.yml --waiting`.

Reads: `$AZURE_ML_*` as the step does; `--spec` and `--request` name files, `-` is standard input; the folder of the
specification's file is what its relative paths start from. Writes: the result on standard output, as JSON.
Without `$TIDEGATE_RUN` a run is made up, so that every call is one of its own; `--run` names one to come back to.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs import azure_ml
from jobs.azure_ml.actions import ACTIONS, BATCH, ONLINE
from tidegate.step import main as run_step

if TYPE_CHECKING:
    from collections.abc import Sequence

FLAGS = ("waiting", "missing_ok", "again", "default")
OBJECTS = ("set", "files", "traffic", "request_input")
NUMBERS = ("queue_timeout", "run_timeout")
TEXTS = ("spec", "request")


def parser() -> argparse.ArgumentParser:
    """One sub-command for each action."""
    top = argparse.ArgumentParser(
        prog="python -m jobs.azure_ml", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--run", default="", help="the run it is done for: the same run makes no second job")
    subs = top.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, action in ACTIONS.items():
        # `job submit` is two words on the command line, and one to argparse; see `main`.
        sub = subs.add_parser(name, help=action.about, description=action.about)
        for option in dict.fromkeys((*action.needs, *action.may)):
            _add(sub, option, required=option in action.needs)
    return top


def _add(sub: argparse.ArgumentParser, option: str, *, required: bool) -> None:
    flag = f"--{option.replace('_', '-')}"
    if option in FLAGS:
        sub.add_argument(flag, action=argparse.BooleanOptionalAction, default=None)
    elif option == "endpoint_type":
        sub.add_argument(flag, choices=(ONLINE, BATCH), required=required)
    elif option in NUMBERS:
        sub.add_argument(flag, type=float, metavar="SECONDS", required=required)
    elif option in OBJECTS:
        sub.add_argument(flag, type=json.loads, metavar="JSON", required=required)
    else:
        sub.add_argument(flag, metavar="FILE" if option in TEXTS else option.upper(), required=required)


def main(arguments: Sequence[str]) -> int:
    """Run one action; returns the step's exit code."""
    given = vars(parser().parse_args(joined(arguments)))
    run = given.pop("run")
    params: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    inputs = {}
    if (spec := params.get("spec")) and spec != "-":
        inputs = {"code": f"{Path(spec).resolve().parent.as_uri()}/"}
    for name in TEXTS:
        if name in params:
            params[name] = sys.stdin.read() if params[name] == "-" else Path(params[name]).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="azure-ml-result-") as folder:
        identity = {"dag_id": "command line", "run_id": run or uuid.uuid4().hex, "task_id": params["action"]}
        os.environ.setdefault("TIDEGATE_RUN", json.dumps(identity))
        os.environ.setdefault("TIDEGATE_OUTPUT", Path(folder).as_uri())
        os.environ["TIDEGATE_RESULT"] = f"{folder}/result.json"
        os.environ["TIDEGATE_PARAMS"], os.environ["TIDEGATE_INPUTS"] = json.dumps(params), json.dumps(inputs)
        code = run_step("azure_ml", azure_ml, [])
        if code == 0:
            sys.stdout.write(Path(folder, "result.json").read_text(encoding="utf-8") + "\n")
    return code


def joined(arguments: Sequence[str]) -> list[str]:
    """The words with those of an action made one: `job submit`."""
    words = list(arguments)
    for place in range(len(words) - 1):
        if (both := f"{words[place]} {words[place + 1]}") in ACTIONS:
            return [*words[:place], both, *words[place + 2 :]]
    return words


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
