"""Paths of a data lake, kept as blobs.

A directory is an empty blob with the metadata hdi_isfolder. Data that was appended and not yet flushed are blocks not
yet committed, named by their position, so that the blob service remembers them and this process nothing.
"""

from __future__ import annotations

import base64
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.storage.blob import BlobBlock, BlobServiceClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from azure.storage.blob import BlobClient, BlobProperties, ContainerClient

FOLDER = {"hdi_isfolder": "true"}


class Refused(Exception):  # noqa: N818 (what it says)
    """An answer other than success: status, the service's code, and words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What must be true of a path before it is changed."""

    if_match: str = ""
    if_none_match: str = ""

    def check(self, found: BlobProperties | None) -> None:
        """Refuse unless they hold for what was found."""
        if self.if_none_match == "*" and found:
            raise Refused(409, "PathAlreadyExists", "The specified path already exists.")
        if self.if_match and (not found or self.if_match not in ("*", found.etag)):
            raise Refused(412, "ConditionNotMet", "The condition specified using HTTP conditional headers is not met.")

    def for_blob(self) -> dict[str, Any]:
        """The same for a blob call, which checks and writes in one."""
        if self.if_none_match == "*":
            return {"match_condition": MatchConditions.IfMissing}
        if self.if_match and self.if_match != "*":
            return {"etag": self.if_match, "match_condition": MatchConditions.IfNotModified}
        return {}


class Lake:
    """The paths of one account."""

    def __init__(self, *, account: str, key: str, upstream: str) -> None:
        credential = {"account_name": account, "account_key": key}
        self._service = BlobServiceClient(f"{upstream}/{account}", credential=credential, retry_total=0)
        # to make a client takes longer than its call, and a path is asked for several times in a row
        self._blob: Callable[[str, str], BlobClient] = lru_cache(256)(self._service.get_blob_client)
        self._changing = threading.Lock()

    def make(self, filesystems: Iterable[str], *, seconds: float = 120) -> None:
        """Make what is missing; the blob service may be starting, and is waited for."""
        until = time.monotonic() + seconds
        for name in filesystems:
            while not self._made(name, last=time.monotonic() > until):
                time.sleep(0.5)

    def _made(self, filesystem: str, *, last: bool) -> bool:
        try:
            self._service.create_container(filesystem)
        except ResourceExistsError:
            return True
        except ServiceRequestError:
            if last:
                raise
            return False
        return True

    def create(
        self, filesystem: str, path: str, *, folder: bool, properties: str, conditions: Conditions
    ) -> dict[str, str]:
        """Make an empty file, or a directory; what was there is replaced unless the conditions forbid it."""
        metadata = _metadata(properties) | (FOLDER if folder else {})
        with self._changing, _conflicts():
            if not conditions.if_match:
                self._make_parents(filesystem, path)
                with suppress(ResourceExistsError):
                    return self._put_empty(filesystem, path, metadata)
            found = self._found(filesystem, path)
            conditions.check(found)
            _refuse_other_kind(found, folder=folder)
            if found and folder:
                return _marks(found.etag, found.last_modified)
            return self._put_empty(filesystem, path, metadata, overwrite=True)

    def append(self, filesystem: str, path: str, data: bytes, *, position: int) -> None:
        """Keep data for a position beyond what is flushed; the order of calls does not matter."""
        blob, properties = self._file(filesystem, path)
        if position < properties.size:
            raise Refused(400, "InvalidAppendPosition", f"{position} is inside the {properties.size} bytes flushed")
        blob.stage_block(_block(position), data)

    def flush(self, filesystem: str, path: str, *, position: int, conditions: Conditions) -> dict[str, str]:
        """Make all that was appended visible, at once; refused when there are gaps before `position`."""
        blob, properties = self._file(filesystem, path)
        conditions.check(properties)
        committed, pending = blob.get_block_list("all")
        blocks = [block.id for block in committed]
        end = properties.size
        for block in sorted(pending, key=lambda block: str(block.id)):
            if int(block.id) == end:
                blocks.append(block.id)
                end += block.size
        if end != position:
            raise Refused(400, "InvalidFlushPosition", f"data reaches to {end} without a gap, not to {position}")
        with _conflicts():
            done = blob.commit_block_list(
                [BlobBlock(block) for block in blocks],
                metadata=properties.metadata,
                etag=properties.etag,
                match_condition=MatchConditions.IfNotModified,
            )
        return _marks(done["etag"], done["last_modified"])

    def rename(
        self, source: tuple[str, str], filesystem: str, path: str, *, source_match: str, conditions: Conditions
    ) -> dict[str, str]:
        """Move a path, with all below it, if the destination meets the conditions."""
        with self._changing, _conflicts():
            found = self._found(*source)
            if not found:
                raise Refused(404, "SourcePathNotFound", "The source path for a rename operation does not exist.")
            Conditions(if_match=source_match).check(found)
            target = self._found(filesystem, path)
            conditions.check(target)
            _refuse_other_kind(target, folder=_is_folder(found))
            if source[0] != filesystem or _folder(source[1]) != _folder(path):
                self._make_parents(filesystem, path)
            done = self._move(source, filesystem, path, conditions)
            for name in self._below(*source, found):
                self._move((source[0], name), filesystem, path + name.removeprefix(source[1]), Conditions())
            return done

    def delete(self, filesystem: str, path: str, *, recursive: bool) -> None:
        """Remove a path; a directory with something in it only when told so."""
        with self._changing:
            found = self._found(filesystem, path)
            if not found:
                raise Refused(404, "PathNotFound", "The specified path does not exist.")
            below = self._below(filesystem, path, found)
            if below and not recursive:
                raise Refused(409, "DirectoryNotEmpty", "Set recursive to delete a directory that is not empty.")
            for name in [*reversed(below), path]:
                self._blob(filesystem, name).delete_blob()

    def list_paths(
        self, filesystem: str, folder: str, *, recursive: bool, most: int, continuation: str
    ) -> tuple[list[dict[str, str]], str]:
        """One page of what is in a directory, and where the next page begins."""
        container = self._service.get_container_client(filesystem)
        prefix = f"{folder}/" if folder else ""
        if not container.exists():
            raise Refused(404, "FilesystemNotFound", "The specified filesystem does not exist.")
        if folder and not self._found(filesystem, folder):
            raise Refused(404, "PathNotFound", "The specified path does not exist.")
        pages = container.list_blobs(name_starts_with=prefix, include=["metadata"], results_per_page=most).by_page(
            continuation or None
        )
        entries = [_entry(blob) for blob in next(pages) if recursive or "/" not in str(blob.name).removeprefix(prefix)]
        return entries, str(getattr(pages, "continuation_token", "") or "")

    def _found(self, filesystem: str, path: str) -> BlobProperties | None:
        try:
            return self._blob(filesystem, path).get_blob_properties()
        except ResourceNotFoundError as error:
            _refuse_missing(error)
            return None

    def _file(self, filesystem: str, path: str) -> tuple[BlobClient, BlobProperties]:
        found = self._found(filesystem, path)
        if not found:
            raise Refused(404, "PathNotFound", "The specified path does not exist.")
        _refuse_other_kind(found, folder=False)
        return self._blob(filesystem, path), found

    def _below(self, filesystem: str, path: str, found: BlobProperties) -> list[str]:
        """What lies below a path; the blob service looks through all that it has for it, so files are not asked."""
        if not _is_folder(found):
            return []
        container: ContainerClient = self._service.get_container_client(filesystem)
        return [str(blob.name) for blob in container.list_blobs(name_starts_with=f"{path}/")]

    def _make_parents(self, filesystem: str, path: str) -> None:
        """Make the directories that a path lies in; above one that is there, all are."""
        parts = _folder(path).split("/") if "/" in path else []
        if parts and (found := self._found(filesystem, "/".join(parts))):
            _refuse_other_kind(found, folder=True)
            return
        for count in range(1, len(parts) + 1):
            parent = "/".join(parts[:count])
            try:
                self._put_empty(filesystem, parent, FOLDER)
            except ResourceExistsError:
                _refuse_other_kind(self._found(filesystem, parent), folder=True)

    def _put_empty(
        self, filesystem: str, path: str, metadata: dict[str, str], *, overwrite: bool = False
    ) -> dict[str, str]:
        done = self._blob(filesystem, path).upload_blob(b"", overwrite=overwrite, metadata=metadata)
        return _marks(done["etag"], done["last_modified"])

    def _move(self, source: tuple[str, str], filesystem: str, path: str, conditions: Conditions) -> dict[str, str]:
        old = self._blob(*source)
        new = self._blob(filesystem, path)
        done = new.start_copy_from_url(old.url, **conditions.for_blob())
        old.delete_blob()
        return _marks(done["etag"], done["last_modified"])


class _conflicts:  # noqa: N801 (used like a function)
    """Blob calls that lost a race, in the words of the lake."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, ResourceExistsError):
            raise Refused(409, "PathAlreadyExists", "The specified path already exists.") from error
        if isinstance(error, ResourceModifiedError):
            raise Refused(412, "ConditionNotMet", "The condition is not met.") from error
        if isinstance(error, ResourceNotFoundError):
            _refuse_missing(error)


def _refuse_missing(error: ResourceNotFoundError) -> None:
    """Refuse where what is not there is the filesystem."""
    if getattr(error, "error_code", "") == "ContainerNotFound":
        raise Refused(404, "FilesystemNotFound", "The specified filesystem does not exist.") from error


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _metadata(properties: str) -> dict[str, str]:
    """`x-ms-properties`: names and base64 values, `n1=djE=,n2=djI=`."""
    pairs = (pair.strip().partition("=") for pair in properties.split(",") if pair.strip())
    return {name: base64.b64decode(value).decode() for name, _, value in pairs}


def _marks(etag: object, modified: object) -> dict[str, str]:
    assert isinstance(modified, datetime)  # noqa: S101 (what the SDK gives for a date)
    return {"ETag": str(etag), "Last-Modified": format_datetime(modified, usegmt=True)}


def _block(position: int) -> str:
    return f"{position:020d}"


def _is_folder(found: BlobProperties) -> bool:
    return (found.metadata or {}).get("hdi_isfolder") == "true"


def _refuse_other_kind(found: BlobProperties | None, *, folder: bool) -> None:
    if found and _is_folder(found) != folder:
        raise Refused(409, "PathConflict", "The path, or a part of it, is of another kind: a file is no directory.")


def _entry(blob: BlobProperties) -> dict[str, str]:
    entry = {"name": str(blob.name), "contentLength": str(blob.size), "etag": str(blob.etag)}
    entry |= {"lastModified": _marks(blob.etag, blob.last_modified)["Last-Modified"]}
    return entry | ({"isDirectory": "true"} if _is_folder(blob) else {})
