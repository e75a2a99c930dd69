"""What a new step or pipeline may be called.

Reads: what the checkout holds already. Writes: nothing.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
import tomllib
from typing import TYPE_CHECKING, Final

from tidegate.cli.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FORM: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LONGEST: Final = 50
"""As the chart's schema has it: Kubernetes allows 63, and `step-` or `pipeline-` comes before it."""
SAY_NOTHING: Final = ("utils", "helpers", "common", "misc", "base")
ABOUT_FORM: Final = re.compile(r'[^\s"\\|#][^"\\|]*')
"""It stands in a docstring, in a comment of YAML and in a table of Markdown."""
ABOUT_LONGEST: Final = 100


def check(name: str, *, kind: str) -> None:
    """Refuse a name that breaks somewhere: in Python, in Kubernetes, or in a reader's head.

    Raises:
        Fault: With the name that would do, where one can be guessed.
    """
    if not FORM.fullmatch(name):
        guess = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")
        better = f", such as {guess}" if FORM.fullmatch(guess) else ""
        msg = f"{name!r} is no name for a {kind}: want snake_case, lower case letters first{better}"
        raise Fault(msg)
    if len(name) > LONGEST:
        msg = f"{name!r} has {len(name)} letters; want at most {LONGEST}, since Kubernetes' own names are made of it"
        raise Fault(msg)
    if keyword.iskeyword(name) or name in SAY_NOTHING:
        msg = f"{name!r} is reserved; name the {kind} after what it does, such as count_rows"
        raise Fault(msg)


def check_step(name: str, root: Path) -> None:
    """Refuse what cannot be a new step of this checkout."""
    check(name, kind="step")
    groups = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    standins = (path.name for path in (root / "images" / "standins").glob("*") if path.is_dir())
    places = (f"jobs/{name}.py", f"jobs/{name}", f"images/{name}", f"tests/jobs/test_{name}.py", f"tests/jobs/{name}")
    steps = [path.stem for path in (root / "jobs").glob("*")]
    if (name in groups and name not in steps) or name in standins or name == "standins":
        msg = f"{name!r} is reserved: an image or a dependency group of pyproject.toml has that name already"
        raise Fault(msg)
    _refuse_existing("step", name, root, places)


def check_pipeline(name: str, root: Path) -> None:
    """Refuse what cannot be a new pipeline of this checkout."""
    check(name, kind="pipeline")
    folders = [path.relative_to(root).as_posix() for path in (root / "dags").glob("*/") if path.is_dir()]
    places = [f"dags/{name}.py", f"tests/dags/test_{name}.py", *(f"{folder}/{name}.py" for folder in folders)]
    _refuse_existing("pipeline", name, root, places)
    if name in sys.stdlib_module_names or importlib.util.find_spec(name):
        msg = f"{name!r} is reserved: dags/{name}.py would hide the module {name} from every other pipeline"
        raise Fault(msg)


def check_about(about: str) -> str:
    """The line that tells what it does, as a sentence."""
    line = about.strip().removesuffix(".")
    if not ABOUT_FORM.fullmatch(line) or not line.isprintable() or len(line) > ABOUT_LONGEST:
        msg = f'--about is {about!r}; want one line of at most {ABOUT_LONGEST} letters, without ", \\ and |'
        raise Fault(msg)
    return f"{line[0].upper()}{line[1:]}."


def _refuse_existing(kind: str, name: str, root: Path, places: Iterable[str]) -> None:
    found = [place for place in places if (root / place).exists()]
    if found:
        msg = f"there is a {kind} {name} already, or what is left of one: {', '.join(found)}"
        raise Fault(msg)
