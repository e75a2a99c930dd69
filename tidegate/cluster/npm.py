"""Packages of npm, at the versions and hashes of a lock file.

Reads: a folder with `package.json` and `package-lock.json`, npm's own settings. Writes:
`<cache>/npm/<key>/node_modules`, without what no program reads (maps, types, manuals).
Again: a finished tree is used as it is.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from tidegate.cluster import cache, commands, host
from tidegate.progress import progress

if TYPE_CHECKING:
    from pathlib import Path

FILES: Final = ("package.json", "package-lock.json")
UNREAD: Final = ("*.map", "*.ts", "*.cts", "*.mts", "*.md", "*.markdown")
"""Files of packages that are for people and compilers."""
QUIET: Final = ("--no-audit", "--no-fund", "--ignore-scripts", "--omit=dev", "--omit-lockfile-registry-resolved")


def tree(folder: Path) -> Path:
    """Return the `node_modules` that the lock file in `folder` pins; installs npm where it is missing."""

    def build(target: Path) -> None:
        if not shutil.which("npm"):
            host.install("nodejs", "npm")
        for name in FILES:
            shutil.copy2(folder / name, target / name)
        with progress.phase(f"Install the npm packages of {folder.name}"):
            commands.run(["npm", "ci", *QUIET], log=f"npm-{folder.name}", cwd=target)
        _prune(target / "node_modules")

    return cache.entry("npm", key(folder), build) / "node_modules"


def key(folder: Path) -> str:
    """Return what stands for a tree's content, without making it."""
    return f"{folder.name}-{cache.fingerprint(*UNREAD, *(folder / name for name in FILES))}"


def _prune(modules: Path) -> None:
    for pattern in UNREAD:
        for path in modules.rglob(pattern):
            if path.is_file():
                path.unlink()
