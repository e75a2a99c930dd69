"""What the API server says when it refuses.

KubeError
|-- Conflict   409: it exists, or is another than the one meant
|-- NotFound   404
|-- Forbidden  403: the Role lacks a rule, or a quota or Pod Security refuses
`-- Gone       410: this resourceVersion is too old, list again
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class KubeError(Exception):
    """The API server refused. `status` is the HTTP status, `reason` Kubernetes' own word for it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message


class Conflict(KubeError):  # noqa: N818
    """409."""


class NotFound(KubeError):  # noqa: N818
    """404."""


class Forbidden(KubeError):  # noqa: N818
    """403."""


class Gone(KubeError):  # noqa: N818
    """410."""


_ERRORS: Mapping[int, type[KubeError]] = {403: Forbidden, 404: NotFound, 409: Conflict, 410: Gone}
AGAIN = frozenset({429, 500, 502, 503, 504})
"""Statuses after which the same request may be sent again."""


def error_of(status: int, body: bytes | str) -> KubeError:
    """Make the error that fits an API server's answer; the body is a `Status` object or free text."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        answer = json.loads(text)
        reason, message = str(answer.get("reason", "")), str(answer.get("message", ""))
    except (ValueError, AttributeError):
        reason, message = "", text[:500]
    return _ERRORS.get(status, KubeError)(status, reason, message)
