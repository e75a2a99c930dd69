"""The probe over a step's store: what it tells, and that content is read as a stream."""

from __future__ import annotations

import io
from hashlib import sha256
from types import SimpleNamespace

import pytest

from tidegate.ledger import Seen
from tidegate.ledger.verify import NoStores, StoreProbe


class GoneError(Exception):
    pass


class Shelf:
    """As `tidegate.step`'s stores answer."""

    def stat(self, url: str) -> SimpleNamespace:
        if url != "s3://b/k":
            raise GoneError(url)
        return SimpleNamespace(url=url, size=9, etag="e", version="v")

    def open(self, url: str) -> io.BytesIO:
        assert url == "s3://b/k"
        return io.BytesIO(b"x" * 9)


def test_a_probe_tells_version_absence_and_content() -> None:
    probe = StoreProbe(Shelf(), missing=GoneError)
    assert probe.seen("s3://b/k") == Seen(size=9, etag="e", version="v")
    assert probe.seen("s3://b/other") is None
    assert probe.sha256("s3://b/k") == sha256(b"x" * 9).hexdigest()


def test_what_is_not_absence_is_raised() -> None:
    with pytest.raises(GoneError):
        StoreProbe(Shelf(), missing=KeyError).seen("s3://b/other")
    with pytest.raises(LookupError):
        NoStores().seen("s3://b/k")
