"""Images of one layer, put together without an engine, in the form that `docker load` and kind read.

An archive may hold many images; a member named `repositories` that lists all of them comes first, because kind takes
the tags of an archive from there. Files get no time and no owner: equal content gives an equal archive.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
"""What the machine calls itself -> what image configurations call it."""


@dataclass(frozen=True)
class Image:
    """An image of one layer."""

    ref: str
    """Its name with a tag."""
    entrypoint: tuple[str, ...]
    layer: Path
    """Tar of its files."""
    env: Mapping[str, str] = field(default_factory=lambda: {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})


def layer(
    target: Path,
    files: Mapping[str, Path],
    *,
    links: Mapping[str, str] | None = None,
    onto: Path | None = None,
) -> Path:
    """Write a layer with programs (path in the image -> file) and symbolic links (path -> what it points to).

    With `onto`, what that layer holds comes first.
    """
    if onto:
        shutil.copyfile(onto, target)
    with tarfile.open(target, "a" if onto else "w") as tar:
        if not onto:
            tar.addfile(_folder("tmp", mode=0o1777))
        for name, path in sorted(files.items()):
            member = tarfile.TarInfo(name.lstrip("/"))
            member.size, member.mode = path.stat().st_size, 0o755
            with path.open("rb") as handle:
                tar.addfile(member, handle)
        for name, points_to in sorted((links or {}).items()):
            tar.addfile(_link(name, points_to))
    return target


def extract(target: Path, root: Path, *, wanted: Callable[[str], bool]) -> Path:
    """Write a layer with those members of a root's tar whose path (without a leading `./`) is wanted."""
    with tarfile.open(root) as source, tarfile.open(target, "w") as tar:
        tar.addfile(_folder("tmp", mode=0o1777))
        for member in source:
            member.name = member.name.removeprefix("./")
            if not wanted(member.name):
                continue
            member.linkname = member.linkname.removeprefix("./")
            member.mtime = member.uid = member.gid = 0
            member.uname = member.gname = ""
            tar.addfile(member, source.extractfile(member) if member.isreg() else None)
    return target


def write(target: Path, images: Sequence[Image], *, machine: str) -> Path:
    """Write an archive of images; those with an equal layer share it."""
    layers = {image.layer: _digest(image.layer) for image in images}
    configurations = [_configuration(image, layers[image.layer], machine=machine) for image in images]
    manifest = [
        {"Config": _name(text), "RepoTags": [image.ref], "Layers": [f"{layers[image.layer]}/layer.tar"]}
        for image, text in zip(images, configurations, strict=True)
    ]
    with tarfile.open(target, "w") as tar:
        _add(tar, "repositories", json.dumps(repositories([image.ref for image in images])).encode())
        _add(tar, "manifest.json", json.dumps(manifest).encode())
        for text in dict.fromkeys(configurations):
            _add(tar, _name(text), text)
        for digest, path in {digest: path for path, digest in layers.items()}.items():
            _add_file(tar, f"{digest}/layer.tar", path)
    return target


def repositories(refs: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the old index of an archive: repository -> tag -> id; only the names in it are ever read."""
    index: dict[str, dict[str, str]] = {}
    for ref in refs:
        repository, _, tag = ref.rpartition(":")
        index.setdefault(repository, {})[tag] = "x"
    return index


def _configuration(image: Image, digest: str, *, machine: str) -> bytes:
    settings = {"Entrypoint": list(image.entrypoint), "Env": [f"{name}={value}" for name, value in image.env.items()]}
    layers = {"type": "layers", "diff_ids": [f"sha256:{digest}"]}
    return json.dumps(
        {
            "architecture": ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "config": settings,
            "rootfs": layers,
            "history": [{"created_by": "tidegate"}],
        }
    ).encode()


def _name(configuration: bytes) -> str:
    return f"{hashlib.sha256(configuration).hexdigest()}.json"


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _folder(name: str, *, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, mode
    return member


def _link(name: str, points_to: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name.lstrip("/"))
    member.type, member.linkname, member.mode = tarfile.SYMTYPE, points_to, 0o777
    return member


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _add_file(tar: tarfile.TarFile, name: str, path: Path) -> None:
    member = tarfile.TarInfo(name)
    member.size = path.stat().st_size
    with path.open("rb") as handle:
        tar.addfile(member, handle)
