"""Writes the tables of README.md and docs/values.md from the code they are about: `make docs`.

Reads: the command line's own help, `dags/*.py`, each step's `--help`, `helm/tidegate/values.yaml`. Writes: what stands
between `<!-- NAME -->` and `<!-- /NAME -->` in those files. Again: the same code, same text; a test sees to it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
import yaml

from tidegate.cli import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).resolve().parents[1]
STEP_ENTRY = re.compile(r"^  \$(\S+)  \((.*); ([^;]*)\)\n((?:      .*\n?)*)", re.MULTILINE)
"""An entry of a step's help: variable, what is wanted, default, and what it is for."""
NOT_LISTED = ("airflow", "global.airflowSettings")
"""Chart values that only hand on what the official chart and Airflow document themselves."""


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; bars within a cell are escaped."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def commands() -> str:
    """Every command with its options and the first line of its help."""
    rows = [[f"`tidegate {name}`", note] for name, note in _commands(typer.main.get_command(app), ())]
    return table(["command", "what it does"], rows)


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - typer's own click
    if hasattr(command, "list_commands"):
        for name in sorted(command.list_commands(None)):
            inner = command.get_command(None, name)
            yield from () if inner.hidden else _commands(inner, (*path, name))
    else:
        yield " ".join([*path, *map(_usage, command.params)]), " ".join(command.help.split())


def _usage(parameter: Any) -> str:  # noqa: ANN401
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    flag = parameter.opts[0]
    return f"[{flag}]" if parameter.is_flag else f"[{flag} {str(parameter.name).upper()}]"


def pipelines() -> str:
    """Every DAG: schedule, steps in the order of the file, and the first line of its page."""
    files = [*sorted((ROOT / "dags").glob("*.py")), *sorted((ROOT / "dags").glob("*/*.py"))]
    rows = [row for path in files if (row := _pipeline(path))]
    return table(["pipeline", "schedule", "steps", "what it does"], rows)


def _pipeline(path: Path) -> list[str] | None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    dag = next((call for call in calls if _called(call) in ("DAG", "dag")), None)
    if dag is None:
        return None
    words = {keyword.arg: keyword.value for keyword in dag.keywords}
    steps = [f"`{name}`" for call in _in_order(calls) if _called(call) == "step" and (name := _first_text(call))]
    if any(_called(call).startswith("AzureMachineLearning") for call in calls):
        steps.append("`azure_ml`")
    schedule = ast.literal_eval(words["schedule"]) if "schedule" in words else None
    about = (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")
    return [f"`{path.stem}`", f"`{schedule}`" if schedule else "on demand", " → ".join(steps), about]


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _in_order(calls: list[ast.Call]) -> list[ast.Call]:
    return sorted(calls, key=lambda call: call.lineno)


def _first_text(call: ast.Call) -> str:
    return str(call.args[0].value) if call.args and isinstance(call.args[0], ast.Constant) else ""


def steps() -> str:
    """Every setting of every step, from its own help."""
    names = sorted(path.stem for path in (ROOT / "jobs").iterdir() if not path.name.startswith(("_", ".")))
    rows = [
        [f"`{name}`", f"`{variable}`", wanted, default, " ".join(note.split())]
        for name, explained in zip(names, _helps(names), strict=True)
        for variable, wanted, default, note in STEP_ENTRY.findall(explained)
    ]
    return table(["step", "setting", "wanted", "default", "what it is"], rows)


HELPS = """
import sys
from jobs.__main__ import run
for step in sys.argv[1:]:
    assert run([step, "--help"]) == 0
    sys.stdout.write(chr(12))
"""
"""One process for all of them: most of what a step's help takes is the start of Python."""


def _helps(steps: Sequence[str]) -> list[str]:
    command = [sys.executable, "-c", HELPS, *steps]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split("\f")[:-1]


def values() -> str:
    """Every value of the chart that has a comment, with its default."""
    text = (ROOT / "helm" / "tidegate" / "values.yaml").read_text(encoding="utf-8")
    rows = [[f"`{key}`", _default(text, key), note] for key, note in _commented(text) if not _handed_on(key)]
    return table(["value", "default", "what it is"], rows)


def _handed_on(key: str) -> bool:
    return any(key.startswith(f"{prefix}.") for prefix in NOT_LISTED)


def _commented(text: str) -> Iterator[tuple[str, str]]:
    """Dotted key and comment, in the order of the file."""
    path: list[tuple[int, str]] = []
    note: list[str] = []
    for line in text.splitlines():
        if comment := re.match(r"\s*# (?:-- )?(.*)", line):
            note = [comment[1]] if "# -- " in line else [*note, comment[1]]
        elif key := re.match(r"(\s*)([\w/.]+):(?:\s|$)", line):
            path = [*(one for one in path if one[0] < len(key[1])), (len(key[1]), key[2])]
            if note:
                yield ".".join(name for _, name in path), " ".join(note)
            note = []
        else:
            note = []


@cache
def _parsed(text: str) -> Any:  # noqa: ANN401 - whatever the values are
    return yaml.safe_load(text)


@cache
def _keys(text: str) -> tuple[str, ...]:
    return tuple(key for key, _ in _commented(text))


def _default(text: str, key: str) -> str:
    """The default of a leaf in YAML's short form; an object that is explained key by key has none."""
    found: Any = _parsed(text)
    for name in key.split("."):
        found = found[name]
    explained = any(other.startswith(f"{key}.") for other in _keys(text))
    short = yaml.safe_dump(found, default_flow_style=True, width=10_000).removesuffix("...\n").strip()
    return "" if explained else f"`{short}`"


DOCUMENTS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"commands": commands, "pipelines": pipelines, "steps": steps},
    "docs/values.md": {"values": values},
}
"""File -> name of each marked place -> what makes the text there."""


def rendered(name: str) -> str:
    """The text of a document with every generated part anew; a missing marker is an error that names it."""
    text = (ROOT / name).read_text(encoding="utf-8")
    for part, make in DOCUMENTS[name].items():
        marked = re.compile(rf"(<!-- {part} -->\n).*?(<!-- /{part} -->)", re.DOTALL)
        found = marked.findall(text)
        if len(found) != 1:
            msg = f"{name} has {len(found)} places marked <!-- {part} -->; want one"
            raise ValueError(msg)
        text = marked.sub("\n".join([found[0][0].rstrip(), make().replace("\\", r"\\"), found[0][1]]), text)
    return text


if __name__ == "__main__":
    for document in DOCUMENTS:
        (ROOT / document).write_text(rendered(document), encoding="utf-8")
