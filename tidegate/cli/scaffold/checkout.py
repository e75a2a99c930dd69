"""Files of the checkout, written together.

Reads: the checkout. Writes: all of the files given, or, where anything goes wrong or somebody presses Ctrl-C, none.
The tables of the documents are made in a copy first, by the checkout's own `docs/generate.py`, so that code which they
cannot be made from never comes into the checkout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tidegate.cli.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

READ_BY_DOCS: Final = ("README.md", "docs", "dags", "jobs", "helm/tidegate/values.yaml")
GENERATOR: Final = Path("docs") / "generate.py"
SECONDS: Final = 300


@dataclass(frozen=True)
class Change:
    """One file, as it is to be."""

    path: str
    text: str
    added: int
    """Lines more than before; of a new file all."""
    new: bool


def steps(root: Path) -> list[str]:
    """The steps that are there, by name."""
    return sorted(path.stem for path in (root / "jobs").iterdir() if not path.name.startswith(("_", ".")))


def text(root: Path, path: str) -> str:
    """A file of the checkout; a Fault where it is not there, as in an installed package."""
    try:
        return (root / path).read_text(encoding="utf-8")
    except FileNotFoundError:
        msg = f"there is no {path} in {root}; run this in a checkout of Tidegate"
        raise Fault(msg) from None


def changes(root: Path, files: Mapping[str, str]) -> list[Change]:
    """Everything that is to be written: these files, and the documents whose tables they change."""
    wanted = {**files, **_documents(root, files)}
    old = {path: _old(root / path) for path in wanted}
    differing = [path for path in wanted if wanted[path] != old[path]]
    return [
        Change(path, wanted[path], wanted[path].count("\n") - (old[path] or "").count("\n"), old[path] is None)
        for path in differing
    ]


def _old(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _documents(root: Path, files: Mapping[str, str]) -> dict[str, str]:
    """The documents as the generator writes them once these files are there."""
    if not (root / GENERATOR).exists():
        return {}
    with tempfile.TemporaryDirectory(prefix="tidegate-new-") as scratch:
        copy = Path(scratch)
        for part in READ_BY_DOCS:
            _copy(root / part, copy / part)
        for path, content in files.items():
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            (copy / path).write_text(content, encoding="utf-8")
        _generate(copy, library=root)
        documents = [Path("README.md"), *(path.relative_to(copy) for path in (copy / "docs").glob("*.md"))]
        return {str(path): (copy / path).read_text(encoding="utf-8") for path in documents}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def _generate(copy: Path, *, library: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(library), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(copy / GENERATOR)]
    done = subprocess.run(
        command, cwd=copy, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode:
        msg = f"the tables of README.md cannot be made with it, so nothing was written:\n{done.stderr.strip()[-2000:]}"
        raise Fault(msg)


def write(root: Path, changed: Sequence[Change]) -> None:
    """Write all of them, or none."""
    with ExitStack() as undo:
        fresh = [(root / one.path, _beside(root / one.path, one.text, undo)) for one in changed]
        for path, content in fresh:
            _replace(path, content, undo)
        undo.pop_all()
    for path, _ in fresh:
        _kept(path).unlink(missing_ok=True)


def _beside(path: Path, content: str, undo: ExitStack) -> Path:
    """The new content in a file next to its place, with the old one's mode; a folder that lacks is made."""
    for folder in [one for one in reversed(path.parents) if not one.exists()]:
        folder.mkdir()
        undo.callback(folder.rmdir)
    fresh = path.with_name(f".{path.name}.new")
    undo.callback(fresh.unlink, missing_ok=True)
    fresh.write_text(content, encoding="utf-8")
    if path.exists():
        shutil.copymode(path, fresh)
    return fresh


def _replace(path: Path, fresh: Path, undo: ExitStack) -> None:
    kept = _kept(path)
    if path.exists():
        undo.callback(kept.unlink, missing_ok=True)
        shutil.copy2(path, kept)
        undo.callback(shutil.copy2, kept, path)
    else:
        undo.callback(path.unlink, missing_ok=True)
    fresh.replace(path)


def _kept(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")
