"""Images that stand in for upstream ones where no registry can be reached; they carry the upstream names.

Reads: `images/standins/<folder>/`, Debian's archive, Go modules, npm. Writes: images into the engine, each with
the labels `dev.tidegate.stands-in-for` (the name it carries) and `dev.tidegate.content` (what it was built from).
Again: an image whose content label fits is not built; one of that name without our label is upstream's, and is kept.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tidegate.cluster import cache, commands, debian, engine, kept_images, npm, programs
from tidegate.cluster.errors import CommandFailed
from tidegate.cluster.project import STANDINS
from tidegate.progress import progress

if TYPE_CHECKING:
    from pathlib import Path

LABEL: Final = "dev.tidegate.stands-in-for"
CONTENT: Final = "dev.tidegate.content"
DEBIAN: Final = "debian:trixie-slim"
SUITE: Final = "trixie"


@dataclass(frozen=True)
class StandIn:
    """One image that stands in for another."""

    folder: str
    """Below `images/standins`."""
    ref: str
    """The upstream name it carries."""
    base: str
    """The image it is built on."""
    program: str = ""
    """A program of ours that goes into its build folder."""
    npm: bool = False
    """Whether the packages of its lock file go there too, as `node_modules`."""
    by_default: bool = True
    """Whether an install with the chart's own values needs it, directly or to build on."""


ALL: Final = (
    StandIn("python", "python:3.13-slim-trixie", DEBIAN),
    StandIn("postgres", "postgres:17", DEBIAN),
    StandIn("git_sync", "registry.k8s.io/git-sync/git-sync:v4.4.2", "python:3.13-slim-trixie"),
    StandIn("azurite", "mcr.microsoft.com/azure-storage/azurite:3.35.0", DEBIAN, npm=True),
    StandIn("maildev", "maildev/maildev:2.2.1", DEBIAN, npm=True),
    StandIn("versitygw", "ghcr.io/versity/versitygw:v1.8.0", "", "versitygw"),
    StandIn("redis", "redis:7.2-bookworm", DEBIAN, by_default=False),
)
"""Every stand-in, each after what it is built on."""

IN_CLUSTER: Final = tuple(item.ref for item in ALL if item.by_default and item.folder != "python")
"""Those that run in the cluster of `make up`."""


def ensure(*folders: str) -> dict[str, str]:
    """Build the named stand-ins, or all that `make up` needs, where they are missing or out of date.

    Returns:
        Folder -> the upstream name that the image carries.
    """
    wanted = [item for item in ALL if (item.folder in folders if folders else item.by_default)]
    if any(item.base for item in wanted):
        ensure_debian()
    for item in wanted:
        _ensure(item)
    return {item.folder: item.ref for item in wanted}


def is_standin(ref: str) -> bool:
    """Tell whether the image of that name in the engine stands in for it; what is built on one inherits its label."""
    return labels(ref).get(LABEL) == ref


def labels(ref: str) -> dict[str, str]:
    """Return the labels of an image in the engine; none for an image that is not there."""
    try:
        text = commands.output([engine.docker(), "image", "inspect", "--format", "{{json .Config.Labels}}", ref])
    except CommandFailed:
        return {}
    found: dict[str, str] | None = json.loads(text)
    return found or {}


def exists(ref: str) -> bool:
    """Tell whether the engine has an image of that name."""
    return commands.succeeds([engine.docker(), "image", "inspect", ref])


def ensure_debian() -> None:
    """Make the root that the others stand on."""
    with cache.lock("image-debian"):
        if exists(DEBIAN) and not is_standin(DEBIAN):
            return
        root = debian.root(SUITE, ())
        import_root(root, DEBIAN, stands_in=True)


def import_root(root: Path, ref: str, *, stands_in: bool = False) -> None:
    """Make an image of one layer from a tar of a root filesystem, if it is not there already."""
    content = root.parent.name
    if labels(ref).get(CONTENT) == content:
        return
    changes = [f"LABEL {CONTENT}={content}", *([f"LABEL {LABEL}={ref}"] if stands_in else []), 'CMD ["bash"]']
    flags = [word for change in changes for word in ("--change", change)]
    log = f"image-{ref.partition(':')[0].replace('/', '-')}"
    commands.run([engine.docker(), "import", *flags, str(root), ref], log=log)


def build(
    folder: Path, ref: str, *, log: str, labels: dict[str, str] | None = None, arguments: dict[str, str] | None = None
) -> None:
    """Build a folder with BuildKit into an image, on the network of the host."""
    flags = [word for name, value in (labels or {}).items() for word in ("--label", f"{name}={value}")]
    flags += [word for name, value in (arguments or {}).items() for word in ("--build-arg", f"{name}={value}")]
    command = [engine.docker(), "build", "--network", "host", "--progress", "plain", *flags, "--tag", ref, str(folder)]
    commands.run(command, log=log, env={"DOCKER_BUILDKIT": "1"})


def _ensure(item: StandIn) -> None:
    with cache.lock(f"image-{item.folder}"):
        have = labels(item.ref)
        if exists(item.ref) and LABEL not in have:
            return
        content = _content(item)
        if have.get(CONTENT) == content:
            return
        program = programs.program(item.program) if item.program else None
        modules = npm.tree(STANDINS / item.folder) if item.npm else None
        with progress.phase(f"Build a stand-in for {item.ref}"), cache.scratch(f"image-{item.folder}") as context:
            shutil.copytree(STANDINS / item.folder, context, dirs_exist_ok=True)
            if program:
                shutil.copy2(program, context / program.name)
            if modules:
                shutil.copytree(modules, context / modules.name, symlinks=True)
            build(context, item.ref, labels={LABEL: item.ref, CONTENT: content}, log=f"image-{item.folder}")
        kept_images.begin_anew()


def _content(item: StandIn) -> str:
    base = labels(item.base).get(CONTENT, item.base) if item.base else ""
    program = programs.key(item.program) if item.program else ""
    return cache.fingerprint(STANDINS / item.folder, base, program, npm.key(STANDINS / item.folder) if item.npm else "")
