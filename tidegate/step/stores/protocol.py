"""What every store can do, and the words for it.

A write is atomic: a kill at any instant leaves the old object, the new one or none. Data is streamed both ways.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNK = 8 * 1024 * 1024
"""Bytes of an object that are in memory at a time."""

SMALL = 16 * 1024 * 1024
"""Bytes that `get` returns at most, unless told otherwise."""


class Readable(Protocol):
    """Anything with `read(n) -> bytes`; it need not be seekable."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; empty at the end."""


Data: TypeAlias = bytes | Readable
"""The content of a write: bytes, or a stream of them."""


@dataclass(frozen=True, kw_only=True)
class Stat:
    """One version of one object, as its store tells it."""

    url: str
    """Where it lies."""
    size: int
    """Bytes."""
    etag: str
    """The store's mark of this version, without quotes; opaque."""
    version: str = ""
    """The version id where the store keeps versions, else empty."""


class Store(Protocol):
    """Reads and writes objects by URL.

    Raises everywhere: NotFound, AccessDenied, BadSettings (no credentials), TryAgain (unreachable, throttled).
    """

    def put(self, url: str, data: Data, *, create_once: bool = False, if_match: str = "") -> Stat:
        """Write an object, atomically; replaces what is there unless told otherwise.

        Raises:
            Exists: `create_once`, and something is there.
            Changed: `if_match`, and the object's etag is another, or it is gone.
        """

    def open(self, url: str) -> Body:
        """Read one version as a stream; TryAgain when it is replaced meanwhile."""

    def get(self, url: str, *, at_most: int = SMALL) -> bytes:
        """The whole content of a small object; BadInput when it has more than `at_most` bytes."""

    def stat(self, url: str) -> Stat:
        """Size and version of an object."""

    def list(self, prefix: str) -> Iterator[Stat]:
        """All objects in this folder and below, by name; none where there is no such folder."""

    def delete(self, url: str) -> None:
        """Remove an object; fine when it is not there."""

    def presign(self, url: str, *, seconds: int = 3600) -> str:
        """An https URL that reads the object without credentials for so long; BadInput where there is none."""


class Body(io.BufferedReader):
    """The stream of one object; `stat` is the version that is read."""

    def __init__(self, raw: io.RawIOBase, *, stat: Stat) -> None:
        super().__init__(raw, buffer_size=1024 * 1024)
        self.stat = stat

    def __enter__(self) -> Self:
        """For `with store.open(url) as body`."""
        return self


class Ranges(io.RawIOBase):
    """A raw stream over `fetch(start, length)`: every call asks for one chunk, so nothing more is in memory."""

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        self._size = size
        self._fetch = fetch
        self._position = 0
        self._chunk = memoryview(b"")

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: memoryview | bytearray, /) -> int:  # type: ignore[override]
        """Fill `buffer` from the chunk at hand, or from the next."""
        if not self._chunk and self._position < self._size:
            self._chunk = memoryview(self._fetch(self._position, min(CHUNK, self._size - self._position)))
            self._position += len(self._chunk)
        count = min(len(buffer), len(self._chunk))
        buffer[:count] = self._chunk[:count]
        self._chunk = self._chunk[count:]
        return count


def chunks(data: Data, *, size: int = CHUNK) -> Iterator[bytes]:
    """`data` in pieces of exactly `size` bytes but for the last; none where it is empty."""
    stream: Readable = io.BytesIO(data) if isinstance(data, bytes) else data
    while piece := _read_full(stream, size):
        yield piece
        if len(piece) < size:
            return


def _read_full(stream: Readable, size: int) -> bytes:
    piece = stream.read(size)
    if not piece or len(piece) == size:
        return piece
    pieces = [piece]
    while (missing := size - sum(map(len, pieces))) and (piece := stream.read(missing)):
        pieces.append(piece)
    return b"".join(pieces)
