"""What makes an image or an input the very same as before.

Pure: what a store or registry said is passed in. An identity is a small JSON object that goes into the key.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tidegate.ledger.errors import BadKey, MutableImage

if TYPE_CHECKING:
    from tidegate.ledger.model import Output, Seen

DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})$")
"""`name@sha256:…`, with or without a tag before it."""

CONTENT_TAG = re.compile(r"[0-9a-f]{12,64}")
"""What `tidegate images build` and skaffold's inputDigest make of an image's files."""

A_DATE = re.compile(r"(19|20)\d{2}(0[1-9]|1[0-2])([0-2]\d|3[01])([01]\d|2[0-3])[0-5]\d([0-5]\d)?")
"""`202611211200` is hexadecimal too, but says when an image was built and not what is in it."""


def image_identity(reference: str) -> str:
    """What is in the image: its digest, or `tag:` and its content-addressed tag with the image's own name.

    Raises:
        MutableImage: the reference has no digest, and no tag that is made of the content.
    """
    if found := DIGEST.search(reference):
        return found.group(1)
    name, tag = _split(reference)
    if "@" not in name and CONTENT_TAG.fullmatch(tag) and not A_DATE.fullmatch(tag):
        return f"tag:{name}:{tag}"
    raise MutableImage(
        f"image {reference!r} has the tag {tag or 'latest'!r}, which can be moved to another image, so the ledger"
        " cannot tell whether a step ran with it; name it by digest (name@sha256:…) or by the content tag that"
        " `tidegate images build` prints (name:<12 to 64 hexadecimal digits>)"
    )


def _split(reference: str) -> tuple[str, str]:
    """The image's last name part, free of registry and prefix, and its tag: a mirror changes neither."""
    last = reference.rpartition("/")[2]
    name, _, tag = last.partition(":")
    return name, tag


def input_identity(url: str, seen: Seen | None, *, known: Output | None = None) -> dict[str, str]:
    """Which version of which object a step will read.

    Args:
        url: where the step reads it.
        seen: what the store says of it now; None where there is nothing.
        known: the output of an earlier step that this is; as long as the store still shows the very version that
            was recorded, the content's sha256 is the identity, wherever it lies.

    Raises:
        BadKey: the store tells neither version nor etag.
    """
    if seen is None:
        return {"url": url, "missing": "true"}
    if known is not None and known.sha256 and known.etag and (known.etag, known.size) == (seen.etag, seen.size):
        return {"sha256": known.sha256}
    if seen.version:
        return {"url": url, "version": seen.version}
    if seen.etag:
        return {"url": url, "etag": seen.etag}
    raise BadKey(
        f"{url} has no etag, version or sha256, so nobody can tell whether it changed; put it in a store that has"
    )
