"""Which store a URL belongs to.

Reads: the environment, when the first client of a scheme is made. Azure has one client per account.
"""

# Clients are imported when used.
# ruff: noqa: PLC0415

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tidegate.step.stores.protocol import SMALL, Body, Data, Stat, Store
from tidegate.step.urls import scheme_of, split

if TYPE_CHECKING:
    from collections.abc import Iterator


def store_for(url: str) -> Store:
    """The store that `url` lies in; BadInput when there is none for its scheme."""
    scheme = scheme_of(url)
    account = split(url).box.partition("@")[2] if scheme == "abfss" else ""
    return _store(scheme, account)


@cache
def _store(scheme: str, account: str) -> Store:
    if scheme == "s3":
        from tidegate.step.stores.s3 import S3Store, client

        return S3Store(client())
    if scheme == "abfss":
        from tidegate.step.stores.abfss import AbfssStore, service

        return AbfssStore(service(account))
    from tidegate.step.stores.file import FileStore

    return FileStore()


class Stores:
    """A store for every URL: passes each call on to the one it belongs to."""

    def put(self, url: str, data: Data, *, create_once: bool = False, if_match: str = "") -> Stat:
        """See Store.put."""
        return store_for(url).put(url, data, create_once=create_once, if_match=if_match)

    def open(self, url: str) -> Body:
        """See Store.open."""
        return store_for(url).open(url)

    def get(self, url: str, *, at_most: int = SMALL) -> bytes:
        """See Store.get."""
        return store_for(url).get(url, at_most=at_most)

    def stat(self, url: str) -> Stat:
        """See Store.stat."""
        return store_for(url).stat(url)

    def list(self, prefix: str) -> Iterator[Stat]:
        """See Store.list."""
        return store_for(prefix).list(prefix)

    def delete(self, url: str) -> None:
        """See Store.delete."""
        store_for(url).delete(url)

    def presign(self, url: str, *, seconds: int = 3600) -> str:
        """See Store.presign."""
        return store_for(url).presign(url, seconds=seconds)
