"""Where built things are kept, outside the checkout.

Reads: $TIDEGATE_CACHE, else $XDG_CACHE_HOME/tidegate, else ~/.cache/tidegate.
Writes: `<root>/<kind>/<key>/`, one folder per built thing, named by a fingerprint of everything it was built from.
Again: an entry that exists is complete (built beside, then renamed) and is never built twice; what a killed build
left behind is removed by the next build of the same entry. Two processes that want one entry build it once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def root() -> Path:
    """Return the cache's folder; it is made if need be."""
    if explicit := os.environ.get("TIDEGATE_CACHE"):
        path = Path(explicit)
    elif xdg := os.environ.get("XDG_CACHE_HOME"):
        path = Path(xdg) / "tidegate"
    else:
        path = Path.home() / ".cache" / "tidegate"
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


def folder(*names: str) -> Path:
    """Return a folder inside the cache; it is made if need be."""
    path = root().joinpath(*names)
    path.mkdir(parents=True, exist_ok=True)
    return path


def keep_temporary_files() -> None:
    """Have this process, and all that it starts, put temporary files here: one that is killed leaves none elsewhere."""
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder("tmp"))


def fingerprint(*parts: str | bytes | Path) -> str:
    """Return 16 hex digits that stand for all parts, in order.

    A `Path` counts with its name, its content and whether it may be executed, a folder with every file below it but
    Python's bytecode, which comes and goes.
    """
    digest = hashlib.sha256()
    for part in parts:
        for chunk in _chunks(part):
            digest.update(len(chunk).to_bytes(8, "big"))
            digest.update(chunk)
    return digest.hexdigest()[:16]


def _chunks(part: str | bytes | Path) -> Iterator[bytes]:
    if isinstance(part, bytes):
        yield part
    elif isinstance(part, str):
        yield part.encode()
    elif part.is_dir():
        for path in sorted(part.rglob("*")):
            if path.is_file() and path.parent.name != "__pycache__":
                yield path.relative_to(part).as_posix().encode()
                yield from _chunks(path)
    else:
        yield part.name.encode() + (b"*" if os.access(part, os.X_OK) else b"")
        yield part.read_bytes()


def find(kind: str, key: str) -> Path | None:
    """Return the finished entry, or None."""
    path = root() / kind / key
    return path if path.is_dir() else None


def entry(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """Return the entry; where it does not exist, `build(folder)` fills an empty folder that then becomes the entry."""
    if found := find(kind, key):
        return found
    with lock(f"{kind}-{key}"):
        if found := find(kind, key):
            return found
        with _fresh(root() / kind, f".partial-{key}") as partial:
            build(partial)
            return partial.rename(root() / kind / key)


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """Give an empty folder for the length of a block; hold a lock around it, for what killed blocks left is removed."""
    with _fresh(root() / "scratch", name) as path:
        yield path


@contextmanager
def _fresh(parent: Path, name: str) -> Iterator[Path]:
    """Give a folder of a name never used before: what a killed process had started may still write to the last one."""
    for old in parent.glob(f"{name}~*"):
        shutil.rmtree(old, ignore_errors=True)
    path = parent / f"{name}~{os.getpid()}-{time.monotonic_ns()}"
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold a lock among processes; it is free again as soon as its holder is gone, however it went."""
    with (folder("locks") / name).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def write(path: Path, content: str | bytes, *, mode: int = 0o644) -> Path:
    """Write a whole file or nothing; returns `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content.encode() if isinstance(content, str) else content)
    partial.chmod(mode)
    return partial.replace(path)
