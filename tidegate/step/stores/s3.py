"""`s3://bucket/key`, by boto3, on AWS and everything that speaks its protocol.

Reads: boto3's own chain of credentials (web identity first where the pod has it, else AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY), AWS_REGION, AWS_ENDPOINT_URL_S3.
Writes: one conditional PUT, or a multipart upload whose completion is conditional. Again: a kill in between leaves
parts that nobody sees; give the bucket a lifecycle rule that aborts incomplete uploads.
"""

# Values and clients have no types before they are looked at; clients are imported when used.
# ruff: noqa: ANN401, PLC0415

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tidegate.step.errors import Changed, Exists, NoBucket, NotFound, StepError, TryAgain
from tidegate.step.stores.protocol import SMALL, Body, Data, Ranges, Stat, chunks
from tidegate.step.stores.reading import read_small
from tidegate.step.stores.s3_errors import MISSING, code_of, translated
from tidegate.step.urls import split, split_object

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "tidegate-put"
"""Metadata that tells our own write from another's when the answer to it was lost."""

READS = 4
"""How often one chunk is asked for when the connection breaks in the middle of it."""


def client() -> Any:
    """A boto3 S3 client with short timeouts and bounded retries; path style where an endpoint is given."""
    import boto3
    from botocore.config import Config

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    config = Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": 5},
        signature_version="s3v4",
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return boto3.session.Session().client("s3", region_name=region, endpoint_url=endpoint, config=config)


class S3Store:
    """Objects in S3."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def put(self, url: str, data: Data, *, create_once: bool = False, if_match: str = "") -> Stat:
        """See Store.put."""
        mark = uuid.uuid4().hex
        pieces = chunks(data)
        first, second = next(pieces, b""), next(pieces, None)
        target = _target(url)
        conditions = _conditions(create_once=create_once, if_match=if_match)
        try:
            with translated(url):
                if second is None:
                    answer = self._client.put_object(**target, Body=first, Metadata={MARK: mark}, **conditions)
                    return Stat(url=url, size=len(first), etag=_bare(answer["ETag"]), version=_version(answer))
                return self._put_parts(url, _all(first, second, pieces), mark=mark, conditions=conditions)
        except (Changed, NotFound) as error:
            return self._ours(url, mark, error, create_once=create_once, if_match=if_match)

    def open(self, url: str) -> Body:
        """See Store.open."""
        stat = self.stat(url)

        def fetch(start: int, length: int) -> bytes:
            return self._range(url, stat.etag, start, length)

        return Body(Ranges(stat.size, fetch), stat=stat)

    def get(self, url: str, *, at_most: int = SMALL) -> bytes:
        """See Store.get."""
        return read_small(self, url, at_most=at_most)

    def stat(self, url: str) -> Stat:
        """See Store.stat."""
        head = self._head(url)
        return Stat(url=url, size=head["ContentLength"], etag=_bare(head["ETag"]), version=_version(head))

    def list(self, prefix: str) -> Iterator[Stat]:
        """See Store.list."""
        place = split(prefix)
        folder = f"{place.key.strip('/')}/".lstrip("/")
        with translated(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=place.box, Prefix=folder)
            for entry in (entry for page in pages for entry in page.get("Contents", ())):
                if not entry["Key"].endswith("/"):
                    url = f"s3://{place.box}/{entry['Key']}"
                    yield Stat(url=url, size=entry["Size"], etag=_bare(entry["ETag"]))

    def delete(self, url: str) -> None:
        """See Store.delete."""
        with translated(url):
            self._client.delete_object(**_target(url))

    def presign(self, url: str, *, seconds: int = 3600) -> str:
        """See Store.presign."""
        with translated(url):
            return str(self._client.generate_presigned_url("get_object", Params=_target(url), ExpiresIn=seconds))

    def _head(self, url: str) -> dict[str, Any]:
        """HEAD has no body to say why: a second question tells a missing bucket from a missing key."""
        with translated(url):
            try:
                return dict(self._client.head_object(**_target(url)))
            except self._client.exceptions.ClientError as error:
                if code_of(error) in MISSING:
                    self._client.list_objects_v2(Bucket=split(url).box, MaxKeys=1)
                raise

    def _range(self, url: str, etag: str, start: int, length: int) -> bytes:
        wanted = {"Range": f"bytes={start}-{start + length - 1}", "IfMatch": f'"{etag}"'}
        for attempt in range(1, READS + 1):
            try:
                with translated(url):
                    body = bytes(self._client.get_object(**_target(url), **wanted)["Body"].read())
            except Changed:
                raise TryAgain(f"{url} was replaced while it was read", url=url) from None
            except TryAgain:
                if attempt == READS:
                    raise
            else:
                return body
        raise AssertionError

    def _put_parts(self, url: str, pieces: Iterator[bytes], *, mark: str, conditions: dict[str, str]) -> Stat:
        target = _target(url)
        begun = self._client.create_multipart_upload(**target, Metadata={MARK: mark})
        upload = target | {"UploadId": begun["UploadId"]}
        try:
            parts, size = [], 0
            for number, piece in enumerate(pieces, start=1):
                answer = self._client.upload_part(**upload, PartNumber=number, Body=piece)
                parts.append({"PartNumber": number, "ETag": answer["ETag"]})
                size += len(piece)
            answer = self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **conditions)
        except BaseException:
            with suppress(Exception):
                self._client.abort_multipart_upload(**upload)
            raise
        return Stat(url=url, size=size, etag=_bare(answer["ETag"]), version=_version(answer))

    def _ours(self, url: str, mark: str, error: StepError, *, create_once: bool, if_match: str) -> Stat:
        """The answer to a write can be lost and the write be tried again, in vain: look whose object is there."""
        with suppress(NotFound):
            head = self._head(url)
            if head.get("Metadata", {}).get(MARK) == mark:
                return Stat(url=url, size=head["ContentLength"], etag=_bare(head["ETag"]), version=_version(head))
        if create_once and isinstance(error, Changed):
            raise Exists(f"{url} exists already", url=url) from error
        if if_match and isinstance(error, NotFound) and not isinstance(error, NoBucket):
            raise Changed(f"{url} is gone, it was to be the version {if_match}", url=url) from error
        raise error


def _target(url: str) -> dict[str, str]:
    place = split_object(url)
    return {"Bucket": place.box, "Key": place.key}


def _conditions(*, create_once: bool, if_match: str) -> dict[str, str]:
    if create_once:
        return {"IfNoneMatch": "*"}
    return {"IfMatch": f'"{if_match}"'} if if_match else {}


def _all(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest


def _bare(etag: str) -> str:
    return etag.strip('"')


def _version(answer: dict[str, Any]) -> str:
    version = answer.get("VersionId", "")
    return "" if version == "null" else str(version)
