"""An engine's own folder, and archives of `docker save`, written from the layers that a test thinks up."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

DRIVER = "overlay2"


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def layer(files: Mapping[str, bytes], *, links: Mapping[str, str] | None = None) -> bytes:
    """A layer's tar; a name may be any bytes that a file's name may be."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.LNKTYPE, target
            tar.addfile(member)
    return stream.getvalue()


def config(layers: Sequence[bytes]) -> bytes:
    diff_ids = [digest(content) for content in layers]
    return json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": diff_ids}}).encode()


def keep(root: Path, layers: Sequence[bytes]) -> str:
    """Put an image into the engine's folder, as Docker does; returns its id."""
    metadata, chain = root / "image" / DRIVER, ""
    for content in layers:
        chain = digest(f"{chain} {digest(content)}".encode()) if chain else digest(content)
        described = metadata / "layerdb" / "sha256" / chain.removeprefix("sha256:")
        described.mkdir(parents=True, exist_ok=True)
        (described / "cache-id").write_text(f"data-{chain[-8:]}")
        _split(content, described / "tar-split.json.gz", root / DRIVER / f"data-{chain[-8:]}" / "diff")
    text = config(layers)
    images = metadata / "imagedb" / "content" / "sha256"
    images.mkdir(parents=True, exist_ok=True)
    (images / digest(text).removeprefix("sha256:")).write_bytes(text)
    return digest(text)


def _split(content: bytes, split: Path, files: Path) -> None:
    """Part a tar into its files and the bytes between them."""
    lines: list[dict[str, Any]] = []
    at = 0
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for member in tar:
            lines.append(_segment(content[at : member.offset_data]))
            at = member.offset_data
            lines.append({"type": 1, "payload": None} | _name(member.name))
            if member.isreg():
                path = files / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content[at : at + member.size])
                lines[-1]["size"] = member.size
                at += member.size
    lines.append(_segment(content[at:]))
    with gzip.open(split, "wt") as out:
        out.writelines(json.dumps(line | {"position": number}) + "\n" for number, line in enumerate(lines))


def _segment(content: bytes) -> dict[str, Any]:
    return {"type": 2, "payload": base64.b64encode(content).decode()}


def _name(name: str) -> dict[str, str]:
    try:
        name.encode()
    except UnicodeEncodeError:
        return {"name_raw": base64.b64encode(name.encode(errors="surrogateescape")).decode()}
    return {"name": name}


def save_classic(archive: Path, images: Mapping[str, Sequence[bytes]]) -> None:
    """The form of Docker's older store: a folder a layer, one that comes again is a symbolic link."""
    manifest, seen = [], {}
    with tarfile.open(archive, "w") as tar:
        for number, (ref, layers) in enumerate(images.items()):
            names = [f"{number}-{place}/layer.tar" for place, _ in enumerate(layers)]
            for name, content in zip(names, layers, strict=True):
                if content in seen:
                    link = tarfile.TarInfo(name)
                    link.type, link.linkname = tarfile.SYMTYPE, f"../{seen[content]}"
                    tar.addfile(link)
                else:
                    seen[content] = name
                    _add(tar, name, content)
            text = config(layers)
            _add(tar, f"{number}.json", text)
            manifest.append({"Config": f"{number}.json", "RepoTags": [ref], "Layers": names})
        _add(tar, "manifest.json", json.dumps(manifest).encode())


def save_oci(archive: Path, images: Mapping[str, Sequence[bytes]]) -> None:
    """The form of Docker's newer store: everything by its digest, layers that were pulled packed as they were."""
    manifest, blobs = [], {}
    for ref, layers in images.items():
        text = config(layers)
        contents = [text, *(gzip.compress(content, mtime=0) for content in layers)]
        paths = [f"blobs/sha256/{digest(one).removeprefix('sha256:')}" for one in contents]
        blobs.update(zip(paths, contents, strict=True))
        manifest.append({"Config": paths[0], "RepoTags": [ref], "Layers": paths[1:]})
    with tarfile.open(archive, "w") as tar:
        for path, content in blobs.items():
            _add(tar, path, content)
        _add(tar, "manifest.json", json.dumps(manifest).encode())


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
