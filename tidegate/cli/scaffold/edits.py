"""New entries in files that people write by hand: text is inserted, and not a letter beside it changes.

Each function takes a file's text and gives the new one, with the entry in its place by the alphabet. What comes out is
read again and compared with what was wanted, so that a file laid out in a way nobody thought of is refused, not spoilt.
"""

from __future__ import annotations

import configparser
import copy
import re
import tomllib
from typing import TYPE_CHECKING, Any, Final

import yaml

from tidegate.cli.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

ARTIFACT: Final = """\
    - image: tidegate/{name}
      context: .
      custom: {{buildCommand: make -s skaffold-build, dependencies: {{dockerfile: {{path: images/{name}/Dockerfile}}}}}}
      requires: [{{image: tidegate/base, alias: BASE}}]
"""
RELEASED: Final = "          steps.{name}.image: '{{{{.IMAGE_FULLY_QUALIFIED_tidegate_{name}}}}}'\n"
IMAGE: Final = re.compile(r"^((?:    # .*\n)*    image: tidegate/)\w+(.*\n)", re.MULTILINE)
"""How the steps that are there name their image, with what is said of it."""
PIPELINE_VALUES: Final = "  # -- {about}\n  {name}: {{}}\n"
CONTRACT: Final = "importlinter:contract:no-step-imports-another"


def skaffold(text: str, name: str, *, steps: Collection[str]) -> str:
    """`skaffold.yaml` with the step's image, and the release with its tag."""
    blocks = re.compile(r"^    - image: tidegate/(\w+)\n(?:      .*\n)*", re.MULTILINE)
    lines = re.compile(r"^ +steps\.(\w+)\.image: .*\n", re.MULTILINE)
    listed = inserted(text, blocks, name, ARTIFACT.format(name=name), among=steps)
    edited = inserted(listed, lines, name, RELEASED.format(name=name), among=steps)
    entry = yaml.safe_load(ARTIFACT.format(name=name))[0]

    def wanted(document: Any) -> None:  # noqa: ANN401 - whatever the file holds
        at = [one["image"] for one in yaml.safe_load(edited)["build"]["artifacts"]].index(entry["image"])
        document["build"]["artifacts"].insert(at, entry)
        templates = document["deploy"]["helm"]["releases"][0]["setValueTemplates"]
        templates[f"steps.{name}.image"] = yaml.safe_load(RELEASED.format(name=name))[f"steps.{name}.image"]

    return checked("skaffold.yaml", text, edited, wanted, read=yaml.safe_load)


def step_values(text: str, name: str, *, about: str, steps: Collection[str]) -> str:
    """The chart's values with `steps.<name>`."""
    start, end = _between(text, r"^steps:\n", r"^(?! )")
    others = IMAGE.search(text, start, end)
    image = f"{others[1]}{name}{others[2]}" if others else f"    image: tidegate/{name}\n"
    return _values(text, "steps", name, f"  # -- {about}\n  {name}:\n{image}", among=steps)


def pipeline_values(text: str, name: str, *, about: str) -> str:
    """The chart's values with `pipelines.<name>`."""
    pipelines = yaml.safe_load(text)["pipelines"]
    return _values(text, "pipelines", name, PIPELINE_VALUES.format(name=name, about=about), among=pipelines)


def _values(text: str, section: str, name: str, entry: str, *, among: Collection[str]) -> str:
    blocks = re.compile(r"(?:^  #.*\n)*^  (\w+):.*\n(?:^    .*\n)*", re.MULTILINE)
    start, end = _between(text, rf"^{section}:\n", r"^(?! )")
    edited = text[:start] + inserted(text[start:end], blocks, name, entry, among=among) + text[end:]

    def wanted(document: Any) -> None:  # noqa: ANN401
        document[section][name] = yaml.safe_load(entry)[name]

    return checked("helm/tidegate/values.yaml", text, edited, wanted, read=yaml.safe_load)


def pyproject(text: str, name: str, *, steps: Collection[str]) -> str:
    """`pyproject.toml` with a dependency group for the step, which the group `dev` includes."""
    groups = re.compile(r"(?:^#.*\n)*^(\w+) = \[(?:.+\]\n|\n(?:    .*\n)*\]\n)", re.MULTILINE)
    start, end = _between(text, r"^\[dependency-groups\]\n", r"^\[")
    entry = f'{name} = [{{ include-group = "stores" }}]\n'
    edited = text[:start] + inserted(text[start:end], groups, name, entry, among=steps) + text[end:]
    included = re.compile(r'^    \{ include-group = "(\w+)" \},\n', re.MULTILINE)
    start, end = _between(edited, r"^dev = \[\n", r"^\]")
    line = f'    {{ include-group = "{name}" }},\n'
    edited = edited[:start] + inserted(edited[start:end], included, name, line, among=steps) + edited[end:]

    def wanted(document: Any) -> None:  # noqa: ANN401
        groups = document["dependency-groups"]
        groups[name] = [{"include-group": "stores"}]
        at = tomllib.loads(edited)["dependency-groups"]["dev"].index({"include-group": name})
        groups["dev"].insert(at, {"include-group": name})

    return checked("pyproject.toml", text, edited, wanted, read=tomllib.loads)


def importlinter(text: str, name: str, *, steps: Collection[str]) -> str:
    """`.importlinter` with the step among those that import no other."""
    lines = re.compile(r"^    jobs\.(\w+)\n", re.MULTILINE)
    start, end = _between(text, rf"^\[{re.escape(CONTRACT)}\]\n", r"^\[")
    edited = text[:start] + inserted(text[start:end], lines, name, f"    jobs.{name}\n", among=steps) + text[end:]

    def wanted(document: Any) -> None:  # noqa: ANN401
        modules = document[CONTRACT]["modules"].split()
        document[CONTRACT]["modules"] = "\n" + "\n".join(sorted([*modules, f"jobs.{name}"]))

    return checked(".importlinter", text, edited, wanted, read=_contracts)


def _contracts(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser()
    parser.read_string(text)
    return {section: dict(parser[section]) for section in parser.sections()}


def inserted(text: str, blocks: re.Pattern[str], name: str, entry: str, *, among: Collection[str]) -> str:
    """`text` with `entry` behind the last of the blocks that comes before it by name, or before the first.

    Args:
        text: What is edited.
        blocks: Matches one entry with its comments; its first group is the name.
        name: The new entry's.
        entry: Its text.
        among: Names that count: entries of another kind may stand beside them.
    """
    found = [block for block in blocks.finditer(text) if block[1] in among]
    if not found:
        return text  # which `checked` refuses
    at = max((block.end() for block in found if block[1] < name), default=found[0].start())
    return text[:at] + entry + text[at:]


def checked(file: str, before: str, after: str, wanted: Callable[[Any], None], *, read: Callable[[str], Any]) -> str:
    """`after`, if it says what `before` said and what `wanted` adds to that; otherwise a Fault that names the file."""
    try:
        expected = copy.deepcopy(read(before))
        wanted(expected)
        same = read(after) == expected
    except (ValueError, KeyError, TypeError, configparser.Error, yaml.YAMLError):
        same = False
    if not same:
        msg = f"{file} is laid out in another way than expected, so nothing was written; add the entry by hand"
        raise Fault(msg)
    return after


def _between(text: str, opening: str, closing: str) -> tuple[int, int]:
    """Where a section's content starts and ends; empty where there is no such section."""
    opened = re.search(opening, text, re.MULTILINE)
    start = opened.end() if opened else len(text)
    closed = re.compile(closing, re.MULTILINE).search(text, start)
    return start, closed.start() if closed else len(text)
