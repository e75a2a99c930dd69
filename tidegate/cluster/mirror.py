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

from tidegate.cluster import commands, engine, registries, standins
from tidegate.cluster.errors import ClusterError, CommandFailed, MissingProgram, Refused
from tidegate.progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

COPIERS: Final = {
    "skopeo": ("skopeo", "copy", "--all", "docker://{source}", "docker://{target}"),
    "crane": ("crane", "copy", "{source}", "{target}"),
}
"""Program -> its command, for machines without an engine."""
NOT_TRIED: Final = "not tried: the registry refused the one before it"


@dataclass(frozen=True, kw_only=True)
class Copied:
    """What became of one image."""

    source: str
    target: str
    fault: str = ""
    closed: bool = False
    """The registry refuses all images, not only this one."""
    stand_in: bool = False
    """It is one of ours that carries an upstream name: this machine could not have the upstream one."""


def named(ref: str, registry: str) -> str:
    """The name of an image in the registry, as the chart's template `tidegate.image` makes it."""
    registry = registry.rstrip("/")
    if ref.startswith(f"{registry}/"):
        return ref
    return f"{registry}/{ref.removeprefix(f'{registries.host(ref)}/')}"


def mirror(refs: Iterable[str], registry: str) -> list[Copied]:
    """Copy every image; one that cannot be copied does not stop the others, but a registry that refuses all does.

    An engine tries an account that is refused for most of a minute, with every image.

    Raises:
        MissingProgram: There is nothing to copy with.
    """
    copy, done = _copier(), list[Copied]()
    for ref in dict.fromkeys(refs):
        target = named(ref, registry)
        closed = bool(done) and done[-1].closed
        done.append(
            Copied(source=ref, target=target, fault=NOT_TRIED, closed=True) if closed else _one(ref, target, copy)
        )
    return done


def _one(source: str, target: str, copy: Callable[[str, str], bool]) -> Copied:
    try:
        with progress.phase(f"Copy {source}"):
            return Copied(source=source, target=target, stand_in=copy(source, target))
    except Refused as error:
        closed = error.closed == registries.host(target)
        return Copied(source=source, target=target, fault=str(error), closed=closed)
    except ClusterError as error:
        return Copied(source=source, target=target, fault=str(error))


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
        registries.pull(source, log="mirror-pull")
    if source != target:
        commands.output([docker, "tag", source, target])
    registries.push(target, log="mirror-push")
    return standins.is_standin(source)


def _by_program(words: Sequence[str], source: str, target: str) -> bool:
    try:
        commands.run([word.format(source=source, target=target) for word in words], log="mirror-copy")
    except CommandFailed as error:
        taker, giver = registries.host(target), registries.host(source)
        raise registries.refused(error, giver if giver in error.tail else taker) from error
    return False
