"""`file:///path`: objects are files, a write is a temporary name beside the target and a rename.

Reads and writes: the local disk. Again: a kill leaves at most a hidden `.….partial`, which nobody lists.
An etag is inode, size and time of change, which every write of this store renews.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import stat as modes
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.step.errors import AccessDenied, BadInput, Changed, Exists, NotFound, StepError
from tidegate.step.stores.protocol import SMALL, Body, Data, Stat, chunks
from tidegate.step.stores.reading import read_small
from tidegate.step.urls import split, split_object

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTIAL = ".partial"
"""How the name of an unfinished write ends."""


class FileStore:
    """Objects on the local disk, for development and tests."""

    def put(self, url: str, data: Data, *, create_once: bool = False, if_match: str = "") -> Stat:
        """See Store.put."""
        path = _path(url)
        with _translated(url):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{uuid.uuid4().hex}{PARTIAL}")
            try:
                _write(partial, data)
                _publish(partial, path, create_once=create_once, if_match=if_match, url=url)
                return self.stat(url)
            finally:
                partial.unlink(missing_ok=True)

    def open(self, url: str) -> Body:
        """See Store.open."""
        with _translated(url):
            raw = io.FileIO(_path(url), "rb")
            return Body(raw, stat=_stat(url, os.fstat(raw.fileno())))

    def get(self, url: str, *, at_most: int = SMALL) -> bytes:
        """See Store.get."""
        return read_small(self, url, at_most=at_most)

    def stat(self, url: str) -> Stat:
        """See Store.stat."""
        with _translated(url):
            return _stat(url, _path(url).stat())

    def list(self, prefix: str) -> Iterator[Stat]:
        """See Store.list."""
        folder = Path(split(prefix).key)
        for path in sorted(folder.rglob("*")):
            with suppress(FileNotFoundError):
                status = path.stat()
                if modes.S_ISREG(status.st_mode) and not path.name.endswith(PARTIAL):
                    yield _stat(path.as_uri(), status)

    def delete(self, url: str) -> None:
        """See Store.delete."""
        with _translated(url), suppress(FileNotFoundError):
            _path(url).unlink()

    def presign(self, url: str, *, seconds: int = 3600) -> str:
        """There is none: see Store.presign."""
        raise BadInput(f"{url} cannot be presigned for {seconds} s: a file has no web address; use s3:// or abfss://")


def _path(url: str) -> Path:
    return Path(split_object(url).key)


def _stat(url: str, status: os.stat_result) -> Stat:
    if not modes.S_ISREG(status.st_mode):
        raise NotFound(f"{url} is not a file; correct the URL", url=url)
    return Stat(url=url, size=status.st_size, etag=_etag(status))


def _etag(status: os.stat_result) -> str:
    return f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"


def _write(path: Path, data: Data) -> None:
    with path.open("xb") as file:
        for piece in chunks(data):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def _publish(partial: Path, path: Path, *, create_once: bool, if_match: str, url: str) -> None:
    """Give a whole file its name: a link never replaces, a rename always does."""
    with _locked(path.parent) as folder:
        if create_once:
            _link(partial, path, url=url)
        else:
            if if_match and if_match != _etag_now(path):
                raise Changed(f"{url} is no longer the version {if_match}", url=url)
            partial.replace(path)
        os.fsync(folder)


def _link(partial: Path, path: Path, *, url: str) -> None:
    try:
        path.hardlink_to(partial)
    except FileExistsError:
        raise Exists(f"{url} exists already", url=url) from None


def _etag_now(path: Path) -> str:
    with suppress(FileNotFoundError):
        return _etag(path.stat())
    return ""


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Hold the folder's lock: two writers with if-match must not both find the old version."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Say in our own words what the system refused."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"{url} does not exist; correct the URL or write the file first", url=url) from None
    except PermissionError:
        raise AccessDenied(
            f"{url} may not be read or written by user {os.getuid()}; change its mode", url=url
        ) from None
    except (IsADirectoryError, NotADirectoryError, FileExistsError):
        raise NotFound(f"{url} is a folder, or lies under a file; correct the URL", url=url) from None
    except OSError as error:
        advice = "; free some room" if error.errno == errno.ENOSPC else ""
        raise StepError(f"{url}: {error.strerror}{advice}", url=url) from error
