"""What can be done with any store, made of the protocol's own calls."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256

from tidegate.step.errors import BadInput, Exists, NotFound
from tidegate.step.result import Output
from tidegate.step.stores.protocol import CHUNK, SMALL, Data, Stat, Store, chunks


def read_small(store: Store, url: str, *, at_most: int = SMALL) -> bytes:
    """The whole of a small object; BadInput when it is larger than `at_most` bytes."""
    with store.open(url) as body:
        if body.stat.size > at_most:
            raise BadInput(f"{url} has {body.stat.size} bytes; want at most {at_most}", url=url)
        return body.read()


class Hashing:
    """A stream that knows the sha256 and size of what was read through it."""

    def __init__(self, data: Data) -> None:
        self._pieces = chunks(data, size=1024 * 1024)
        self._rest = b""
        self._hash = sha256()
        self.size = 0

    def read(self, size: int = CHUNK, /) -> bytes:
        """At most `size` bytes."""
        piece = self._rest or next(self._pieces, b"")
        piece, self._rest = piece[:size], piece[size:]
        self._hash.update(piece)
        self.size += len(piece)
        return piece

    @property
    def sha256(self) -> str:
        """Of all that was read, hexadecimal."""
        return self._hash.hexdigest()


def sha256_of(store: Store, url: str) -> str:
    """The sha256 of an object, read as a stream."""
    with store.open(url) as body:
        stream = Hashing(body)
        for _ in iter(stream.read, b""):
            pass
        return stream.sha256


def publish(store: Store, name: str, url: str, data: Data, *, create_once: bool = False, if_match: str = "") -> Output:
    """Write an object and say what was written, as one of a result's outputs."""
    stream = Hashing(data)
    stat = store.put(url, stream, create_once=create_once, if_match=if_match)
    return _output(name, stat, stream.sha256)


def publish_once(store: Store, name: str, url: str, data: Data, *, digest: str) -> Output:
    """Write an object unless these very bytes are there; Exists when other bytes are."""
    try:
        return publish(store, name, url, data, create_once=True)
    except Exists:
        stat = store.stat(url)
        if sha256_of(store, url) != digest:
            raise Exists(f"{url} holds other bytes than sha256 {digest}; remove it", url=url) from None
        return _output(name, stat, digest)


def publish_changed(store: Store, name: str, url: str, data: bytes) -> Output:
    """Write a small object unless it holds these very bytes: then its version stays as it is."""
    with suppress(NotFound), store.open(url) as body:
        if body.stat.size == len(data) and body.read() == data:
            return _output(name, body.stat, sha256(data).hexdigest())
    return publish(store, name, url, data)


def _output(name: str, stat: Stat, digest: str) -> Output:
    return Output(name=name, url=stat.url, size=stat.size, sha256=digest, etag=stat.etag)
