"""What the engine's images consist of, layer by layer, and archives of images that leave out layers.

Reads: the engine's own folder, where it lies on this machine and its layers are in the form that Docker's drivers for
overlay keep (the files of each layer, and beside them the bytes between these files in the layer's tar: tar-split,
https://github.com/vbatts/tar-split). Elsewhere the archive that `docker save` writes, in either of its forms.
Writes: nothing but that archive. A layer comes out byte by byte as it went in: its digest is checked by whoever keeps
it. It is read when it is asked for, so that what is left out costs nothing: `docker save` takes every layer apart and
together again, which for one step's image is half a minute of a busy machine.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from tidegate.cluster import commands, engine, registries
from tidegate.cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

CONFIG: Final = "application/vnd.oci.image.config.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
PACKED: Final = {b"\x1f\x8b": "+gzip", b"\x28\xb5": "+zstd"}
"""First bytes of a layer that is packed -> what its media type ends in."""
SEGMENT: Final = 2
"""Type of a line of tar-split that carries bytes; another one stands for the content of a file."""
CHUNK: Final = 1 << 20


class Unreadable(ClusterError):  # noqa: N818 - read as a word
    """The engine's own folder is not to be read from here, or is kept in a way that we do not know."""


@dataclass(frozen=True)
class Blob:
    """One layer, as it is kept and sent."""

    digest: str
    """`sha256:` and 64 hex digits."""
    size: int
    """Bytes."""
    chunks: Callable[[], Iterator[bytes]]
    """Its content, anew at each call."""
    media: str = LAYER


@dataclass(frozen=True)
class Stored:
    """An image of the engine."""

    name: str
    """With its registry, as containerd keeps it."""
    config: bytes
    layers: tuple[Blob, ...]


def containerd_name(ref: str) -> str:
    """The name under which containerd keeps `ref`: with its registry, and `library/` where it has one part only."""
    if ref.startswith(f"{registries.host(ref)}/"):
        return ref
    return f"{registries.DEFAULT}/{ref}" if "/" in ref else f"{registries.DEFAULT}/library/{ref}"


def stored(refs: Sequence[str]) -> list[Stored]:
    """Images as they lie in the engine's own folder.

    Raises:
        Unreadable: That folder is not on this machine, not ours to read, or of another form.
        CommandFailed: The engine has no such image.
    """
    docker = engine.docker()
    root, driver = commands.output([docker, "info", "--format", "{{.DockerRootDir}}\t{{.Driver}}"]).strip().split("\t")
    ids = commands.output([docker, "image", "inspect", "--format", "{{.Id}}", *refs]).split()
    try:
        return [_stored(Path(root), driver, ref, image) for ref, image in zip(refs, ids, strict=True)]
    except (OSError, ValueError, KeyError) as error:
        msg = f"the engine's folder {root} cannot be read: {error}"
        raise Unreadable(msg) from error


def _stored(root: Path, driver: str, ref: str, image: str) -> Stored:
    metadata = root / "image" / driver
    config = (metadata / "imagedb" / "content" / "sha256" / image.removeprefix("sha256:")).read_bytes()
    layers, chain = [], ""
    for digest in json.loads(config)["rootfs"]["diff_ids"]:
        chain = _digest(f"{chain} {digest}".encode()) if chain else digest
        layers.append(_layer(root / driver, metadata / "layerdb" / "sha256" / chain.removeprefix("sha256:"), digest))
    return Stored(containerd_name(ref), config, tuple(layers))


def _layer(data: Path, described: Path, digest: str) -> Blob:
    split, files = described / "tar-split.json.gz", data / (described / "cache-id").read_text() / "diff"
    return Blob(digest, _size(split), partial(_assembled, split, files))


@cache
def _size(split: Path) -> int:
    return sum(size for _, size in _parts(split))


def _parts(split: Path) -> Iterator[tuple[bytes | str, int]]:
    """What a layer's tar is made of, in order: bytes, or the name of a file below the layer's folder; and its size."""
    with gzip.open(split) as lines:
        for line in lines:
            entry = json.loads(line)
            if entry["type"] == SEGMENT:
                content = base64.b64decode(entry["payload"])
                yield content, len(content)
            elif size := entry.get("size"):
                raw = entry.get("name_raw")
                yield os.fsdecode(base64.b64decode(raw)) if raw else entry["name"], size


def _assembled(split: Path, files: Path) -> Iterator[bytes]:
    for part, size in _parts(split):
        if isinstance(part, bytes):
            yield part
        else:
            with (files / part).open("rb") as handle:
                yield from _read(handle, size)


def _read(handle: IO[bytes], size: int) -> Iterator[bytes]:
    """Exactly `size` bytes in pieces; OSError where there are fewer."""
    while size:
        chunk = handle.read(min(size, CHUNK))
        if not chunk:
            msg = f"{handle.name} ends {size} bytes early"
            raise OSError(msg)
        size -= len(chunk)
        yield chunk


def saved(refs: Iterable[str], archive: Path) -> list[Stored]:
    """Images as `docker save` writes them to `archive`; the file must stay while they are read."""
    wanted = list(dict.fromkeys(refs))
    commands.run([engine.docker(), "save", f"--output={archive}", *wanted], log="save-images")
    with tarfile.open(archive) as tar:
        found = [image for one in json.load(_opened(tar, "manifest.json")) for image in _in_archive(tar, archive, one)]
    names = {containerd_name(ref) for ref in wanted}
    return [image for image in found if image.name in names]


def _in_archive(tar: tarfile.TarFile, archive: Path, entry: dict[str, Any]) -> list[Stored]:
    config = _opened(tar, entry["Config"]).read()
    plain = json.loads(config)["rootfs"]["diff_ids"]
    layers = tuple(_member_blob(tar, archive, *pair) for pair in zip(entry["Layers"], plain, strict=True))
    return [Stored(containerd_name(tag), config, layers) for tag in entry["RepoTags"]]


def _member_blob(tar: tarfile.TarFile, archive: Path, name: str, plain: str) -> Blob:
    """A layer of the archive: its own digest stands in its name (`blobs/sha256/…`), or it is not packed."""
    handle = _opened(tar, name)
    packed = PACKED.get(handle.read(2), "")
    size = handle.seek(0, io.SEEK_END)
    digest = f"sha256:{name.rpartition('/')[2]}" if name.startswith("blobs/") else plain
    return Blob(digest, size, partial(_member_chunks, archive, name, size), LAYER + packed)


def _member_chunks(archive: Path, name: str, size: int) -> Iterator[bytes]:
    with tarfile.open(archive) as tar, _opened(tar, name) as handle:
        yield from _read(handle, size)


def _opened(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    handle = tar.extractfile(name)
    if handle is None:
        msg = f"what `docker save` wrote holds no file {name}"
        raise ClusterError(msg)
    return handle


def archive(images: Sequence[Stored], *, without: Collection[str] = ()) -> Iterator[bytes]:
    """An OCI archive of images (https://github.com/opencontainers/image-spec/blob/main/image-layout.md), in pieces.

    Each layer comes once, those whose digest is in `without` not at all: where it goes has them. The index comes last,
    so that an archive that was cut short brings no image.
    """
    yield from _member("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    blobs = {blob.digest: blob for image in images for blob in image.layers if blob.digest not in without}
    for blob in blobs.values():
        yield from _streamed(_path(blob.digest), blob.size, blob.chunks())
    manifests = {image.name: _manifest(image) for image in images}
    for content in dict.fromkeys([*(image.config for image in images), *manifests.values()]):
        yield from _member(_path(_digest(content)), content)
    entries = [_descriptor(MANIFEST, content) | _named(name) for name, content in manifests.items()]
    yield from _member("index.json", _packed({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}))
    yield bytes(2 * tarfile.BLOCKSIZE)


def _manifest(image: Stored) -> bytes:
    layers = [{"mediaType": blob.media, "digest": blob.digest, "size": blob.size} for blob in image.layers]
    config = _descriptor(CONFIG, image.config)
    return _packed({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers})


def _named(name: str) -> dict[str, dict[str, str]]:
    tag = name.rpartition(":")[2]
    return {"annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag}}


def _descriptor(media: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media, "digest": _digest(content), "size": len(content)}


def _member(name: str, content: bytes) -> Iterator[bytes]:
    return _streamed(name, len(content), iter([content]))


def _streamed(name: str, size: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.size = size
    yield info.tobuf(tarfile.GNU_FORMAT)
    yield from chunks
    yield bytes(-size % tarfile.BLOCKSIZE)


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _packed(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
