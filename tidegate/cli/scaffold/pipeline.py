"""What a new pipeline is made of: its DAG file, its tests, and its service account in the values.

Reads: the checkout, and what the step says of its own settings. Writes: nothing; `files` gives what is to be written.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Final

from tidegate.cli.fault import Fault
from tidegate.cli.objects import PETROL_KEY
from tidegate.cli.scaffold import checkout, edits, names
from tidegate.cli.scaffold.step import TIDEGATE, VALUES
from tidegate.cli.scaffold.texts import filled

if TYPE_CHECKING:
    from pathlib import Path

PRESETS: Final = ("@hourly", "@daily", "@weekly", "@monthly", "@yearly")
CRON: Final = re.compile(r"[\d*][\d*,/-]*( [\d*A-Za-z][\w*,/#-]*){4}")
ENTRY: Final = re.compile(r"^  \$(\S+)  \((?:.*); ([^;]*)\)\n((?:      .*\n?)*)", re.MULTILINE)
"""An entry of a step's help: variable, default, what it is for."""
LINE: Final = 120
ABOUT_WIDTH: Final = 80
PARAM: Final = """\
        "{name}": Param(
            "{PETROL_KEY}",
            type="string",
            minLength=1,
            description="{about} A URL, or a path in the store.",
        ),
"""


def files(root: Path, name: str, *, step: str, schedule: str, about: str) -> dict[str, str]:
    """Path -> text of every file that is new or changes; raises `Fault` for what will not do."""
    names.check_pipeline(name, root)
    if step not in checkout.steps(root):
        msg = f"there is no step {step!r}; want one of {', '.join(checkout.steps(root))}, or `tidegate new step {step}`"
        raise Fault(msg)
    said = names.check_about(about or f"Runs the step {step}")
    words = {"name": name, "about": said, "step": step, **_when(schedule), **_inputs(root, step)}
    values = checkout.text(root, VALUES)
    return {
        f"dags/{name}.py": filled("dag.py", **words),
        f"tests/dags/test_{name}.py": filled("test_dag.py", **words),
        VALUES: edits.pipeline_values(values, name, about=said),
    }


def next_steps(name: str) -> list[tuple[str, str]]:
    """What to type now, in this order, and what it does."""
    return [
        ('make test RUNGS="static dags helm"', "names whatever is forgotten"),
        (f"{TIDEGATE} up --install-only", "installs its service account and pushes the DAG"),
        (f"{TIDEGATE} trigger {name} --wait", "runs it; a second time nothing has changed, and no pod starts"),
        (f"{TIDEGATE} dags push", "is all that a later edit of the DAG needs"),
    ]


def _when(schedule: str) -> dict[str, str]:
    if schedule and schedule not in PRESETS and not CRON.fullmatch(schedule):
        msg = f"--schedule is {schedule!r}; want five fields as for cron, or one of {', '.join(PRESETS)}"
        raise Fault(msg)
    return {"schedule": f'"{schedule}"', "is": "=="} if schedule else {"schedule": "None", "is": "is"}


def _inputs(root: Path, step: str) -> dict[str, str]:
    """What of the DAG file depends on the inputs that the step wants: each becomes a parameter of the run."""
    wanted = required(_help(root, step))
    if params := [variable for variable in wanted if variable.startswith("TIDEGATE_PARAMS.")]:
        msg = f"{step} wants ${params[0]}, which has no default; write the DAG by hand, dags/petrol.py is one"
        raise Fault(msg)
    inputs = {variable.partition(".")[2]: note for variable, note in wanted.items() if "_INPUTS." in variable}
    if not inputs:
        return {"names": "DAG", "params": "", "call": f'step("{step}")'}
    form = "".join(PARAM.format(name=one, PETROL_KEY=PETROL_KEY, about=_short(note)) for one, note in inputs.items())
    return {"names": "DAG, Param", "params": f"    params={{\n{form}    }},\n", "call": _call(step, list(inputs))}


def _call(step: str, inputs: list[str]) -> str:
    """The task, on one line where it has room there, laid out as `ruff format` does."""
    pairs = [f'"{name}": "{{{{ params.{name} }}}}"' for name in inputs]
    line = f'step("{step}", inputs={{{", ".join(pairs)}}})'
    if len(line) + 4 <= LINE:
        return line
    lines = "".join(f"            {pair},\n" for pair in pairs)
    return f'step(\n        "{step}",\n        inputs={{\n{lines}        }},\n    )'


def required(text: str) -> dict[str, str]:
    """In a step's help, what it does not run without: variable -> what it is for."""
    return {name: " ".join(note.split()) for name, default, note in ENTRY.findall(text) if default == "required"}


def _short(note: str) -> str:
    return textwrap.shorten(note, ABOUT_WIDTH, placeholder=" …").replace('"', "'").replace("\\", "/")


def _help(root: Path, step: str) -> str:
    command = [sys.executable, "-m", "jobs", step, "--help"]
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        msg = (
            f"`python -m jobs {step} --help` fails, so what the step wants is not known:\n{done.stderr.strip()[-2000:]}"
        )
        raise Fault(msg)
    return done.stdout
