"""`python -m jobs` lists the steps; `python -m jobs STEP` runs one; `python -m jobs STEP --help` explains it."""

from __future__ import annotations

import ast
import pkgutil
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import jobs
from tidegate.step import main

if TYPE_CHECKING:
    from collections.abc import Sequence

UNKNOWN = 2
"""Exit code for a step that is not here: trying again cannot help."""


def steps() -> dict[str, str]:
    """The steps that are here, each with the first line of what it says of itself; none is imported."""
    names = sorted(module.name for module in pkgutil.iter_modules(jobs.__path__) if not module.name.startswith("_"))
    return {name: _first_line(name) for name in names}


def run(arguments: Sequence[str]) -> int:
    """Run, explain or list; returns the exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(f"{__doc__}\n\n{_listing()}\n")
        return 0
    step = arguments[0]
    if step not in steps():
        sys.stderr.write(f"there is no step {step!r} here; want one of these\n\n{_listing()}\n")
        return UNKNOWN
    return main(step, import_module(f"jobs.{step}"), arguments[1:])


def _listing() -> str:
    return "\n".join(f"  {name:<16} {line}" for name, line in steps().items())


def _first_line(step: str) -> str:
    folder = Path(jobs.__path__[0])
    file = next(path for path in (folder / f"{step}.py", folder / step / "__init__.py") if path.is_file())
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
