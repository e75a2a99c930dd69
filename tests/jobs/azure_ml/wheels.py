"""An index of packages that is a folder: wheels of ours under the names and versions that a test asks for."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def wheel(folder: Path, pin: str, files: dict[str, str] | None = None) -> None:
    """A wheel of that name and version with these files; with none it changes a package's version and nothing else."""
    name, _, version = pin.partition("==")
    name = name.replace("-", "_")
    info = f"{name}-{version}.dist-info"
    content = dict(files or {})
    content[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    content[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    content[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*content, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in content.items():
            archive.writestr(path, text)


def index(folder: Path) -> dict[str, str]:
    """What makes pip ask that folder and nobody else."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": "/dev/null"}
