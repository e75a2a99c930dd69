"""Where things lie: `s3://bucket/key`, `abfss://filesystem@account/path`, `file:///path`.

Keys of s3 and abfss are taken literally; only `file` URLs are percent-encoded, as `Path.as_uri()` writes them.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, unquote

from tidegate.step.errors import BadInput

SCHEMES = ("s3", "abfss", "file")
"""What a store exists for."""


class Input(str):
    """The URL of one input, from `$TIDEGATE_INPUTS`."""

    __slots__ = ()


class Prefix(str):
    """A URL that a step owns everything under: `prefix / "model.pkl"`."""

    __slots__ = ()

    def __truediv__(self, name: str) -> Prefix:
        """The URL of `name` under this one; a `file` URL is encoded as it must be."""
        tail = quote(name) if self.startswith("file:") else name
        return Prefix(f"{self.rstrip('/')}/{tail.lstrip('/')}")


class Place(NamedTuple):
    """A URL taken apart: `box` is the bucket, `filesystem@account`, or empty for files."""

    scheme: str
    box: str
    key: str


def scheme_of(url: str) -> str:
    """The scheme, refused unless there is a store for it."""
    scheme, colon, _ = url.partition("://")
    if not colon or scheme not in SCHEMES:
        raise BadInput(f"{url!r} is not a URL of a store; want s3://, abfss:// or file://", url=url)
    return scheme


def split(url: str) -> Place:
    """Take `url` apart; BadInput says what is missing in it."""
    scheme = scheme_of(url)
    box, _, key = url.removeprefix(f"{scheme}://").partition("/")
    if scheme == "file":
        if box not in ("", "localhost"):
            raise BadInput(f"{url!r} names the host {box!r}; want file:///absolute/path", url=url)
        return Place(scheme, "", "/" + unquote(key))
    if not box:
        raise BadInput(f"{url!r} names no bucket; want {_shape(scheme)}", url=url)
    if scheme == "abfss" and not all(box.partition("@")):
        raise BadInput(f"{url!r} lacks its filesystem or account; want {_shape(scheme)}", url=url)
    return Place(scheme, box, key)


def split_object(url: str) -> Place:
    """Take the URL of one object apart; a bucket alone, or a folder, is refused."""
    place = split(url)
    if not place.key.strip("/") or place.key.endswith("/"):
        raise BadInput(f"{url!r} names no object; want {_shape(place.scheme)}", url=url)
    return place


def _shape(scheme: str) -> str:
    return {"s3": "s3://bucket/key", "abfss": "abfss://filesystem@account/path", "file": "file:///path"}[scheme]
