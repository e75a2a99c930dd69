"""The user's kubeconfig: what it was before our context came into it, and leaving it like that again.

Reads and writes: the first file of $KUBECONFIG, else ~/.kube/config, which is where kind writes.
Again: restoring twice changes nothing; what others wrote in the meantime is kept.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from tidegate.cluster import cache


@dataclass(frozen=True)
class Before:
    """How a kubeconfig was found."""

    path: str
    existed: bool
    folder_existed: bool
    current_context: str

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data; `Before(**data)` is the way back."""
        return asdict(self)


def path() -> Path:
    """Return the file that kind writes to."""
    named = [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return Path(named[0]) if named else Path.home() / ".kube" / "config"


def look() -> Before:
    """Return how the kubeconfig is now."""
    file = path()
    return Before(str(file), file.exists(), file.parent.exists(), read(file).get("current-context") or "")


def restore(before: Before) -> None:
    """After our context is gone: choose the context again that was chosen, or remove a file that is only ours."""
    file = Path(before.path)
    settings = read(file)
    names = {item["name"] for item in settings.get("contexts") or []}
    if file.exists() and not before.existed and not names:
        _remove(file, folder=not before.folder_existed)
    elif before.current_context in names and not settings.get("current-context"):
        chosen = {**settings, "current-context": before.current_context}
        cache.write(file, yaml.safe_dump(chosen, sort_keys=False), mode=0o600)


def clusters(file: Path) -> dict[str, dict[str, Any]]:
    """Return the clusters in a kubeconfig: name -> address and certificate."""
    return {item["name"]: item["cluster"] for item in read(file).get("clusters") or []}


def read(file: Path) -> dict[str, Any]:
    """Return a kubeconfig's content; nothing where there is no such file."""
    found = yaml.safe_load(file.read_text()) if file.exists() else None
    return found if isinstance(found, dict) else {}


def _remove(file: Path, *, folder: bool) -> None:
    file.unlink()
    file.with_name(f"{file.name}.lock").unlink(missing_ok=True)
    if folder and not [path for path in file.parent.iterdir() if path.name != "cache"]:
        # kubectl keeps what it discovered of clusters there; without a cluster it is of no use
        for left in sorted(file.parent.rglob("*"), reverse=True):
            left.rmdir() if left.is_dir() else left.unlink()
        file.parent.rmdir()
