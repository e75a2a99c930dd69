"""Copies images into one registry, under the names that the chart's `global.imageRegistry` gives them.

Reads: the engine, and the registries that images come from. Writes: the registry that is named. Again: a layer that is
there is not sent again. Copies by the engine; where none runs by skopeo or crane, which take images straight from
registry to registry.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from tidegate.cluster import commands, engine, standins
from tidegate.cluster.errors import ClusterError, MissingProgram
from tidegate.progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

COPIERS: Final = {
    "skopeo": ("skopeo", "copy", "--all", "docker://{source}", "docker://{target}"),
    "crane": ("crane", "copy", "{source}", "{target}"),
}
"""Program -> its command, for machines without an engine."""


@dataclass(frozen=True, kw_only=True)
class Copied:
    """What became of one image."""

    source: str
    target: str
    fault: str = ""
    stand_in: bool = False
    """It is one of ours that carries an upstream name: this machine could not have the upstream one."""


def named(ref: str, registry: str) -> str:
    """The name of an image in the registry, as the chart's template `tidegate.image` makes it."""
    registry = registry.rstrip("/")
    if ref.startswith(f"{registry}/"):
        return ref
    host, slash, rest = ref.partition("/")
    has_host = bool(slash) and (host == "localhost" or bool(set(".:") & set(host)))
    return f"{registry}/{rest if has_host else ref}"


def mirror(refs: Iterable[str], registry: str) -> list[Copied]:
    """Copy every image; one that cannot be copied does not stop the others.

    Raises:
        MissingProgram: There is nothing to copy with.
    """
    copy = _copier()
    return [_one(ref, named(ref, registry), copy) for ref in dict.fromkeys(refs)]


def _one(source: str, target: str, copy: Callable[[str, str], bool]) -> Copied:
    try:
        with progress.phase(f"Copy {source}"):
            return Copied(source=source, target=target, stand_in=copy(source, target))
    except ClusterError as error:
        return Copied(source=source, target=target, fault=_cause(str(error)))


def _cause(text: str) -> str:
    """The last line that a program said, without the name of its log."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("(all of it")]
    return (lines or ["unknown"])[-1].strip()


def _copier() -> Callable[[str, str], bool]:
    if engine.find() is not None:
        return _by_engine
    for name, command in COPIERS.items():
        if shutil.which(name):
            return partial(_by_program, command)
    msg = "no engine runs, and neither skopeo nor crane is in the PATH: start Docker, or install one of them"
    raise MissingProgram(msg)


def _by_engine(source: str, target: str) -> bool:
    """Pull it unless it is there, and push it under its new name; tells whether it is a stand-in."""
    docker = engine.docker()
    if not standins.exists(source):
        commands.run([docker, "pull", source], log="mirror-pull")
    if source != target:
        commands.output([docker, "tag", source, target])
    commands.run([docker, "push", target], log="mirror-push")
    return standins.is_standin(source)


def _by_program(words: Sequence[str], source: str, target: str) -> bool:
    commands.run([word.format(source=source, target=target) for word in words], log="mirror-copy")
    return False
