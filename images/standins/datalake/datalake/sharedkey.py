"""Shared Key signatures, as the storage services check them.

Source: https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
"""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNED = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)
"""The headers that are signed by their place, in this order."""

FRESH = timedelta(minutes=15)
"""How far the clock of a request may be off."""


def fault(method: str, target: str, headers: Mapping[str, str], *, account: str, key: str) -> str:
    """What is wrong with the signature of a request; empty when it is right."""
    lowered = {name.lower(): value for name, value in headers.items()}
    scheme, _, credential = lowered.get("authorization", "").partition(" ")
    name, _, signature = credential.partition(":")
    if scheme != "SharedKey" or name != account:
        return f"want a SharedKey signature of the account {account}"
    if not _is_fresh(lowered.get("x-ms-date") or lowered.get("date", "")):
        return "x-ms-date is missing or more than 15 minutes off"
    wanted = sign(string_to_sign(method, target, lowered, account=account), key)
    return "" if hmac.compare_digest(wanted, signature) else "the signature does not match"


def sign(text: str, key: str) -> str:
    """HMAC-SHA256 in base64."""
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), sha256).digest()).decode()


def string_to_sign(method: str, target: str, headers: Mapping[str, str], *, account: str) -> str:
    """What a client signs of a request; names of `headers` in lower case."""
    fixed = [headers.get(name, "") for name in SIGNED]
    fixed[2] = "" if fixed[2] == "0" else fixed[2]
    # The service orders names as if they had no hyphens.
    own = sorted((name for name in headers if name.startswith("x-ms-")), key=lambda name: (name.replace("-", ""), name))
    parts = urlsplit(target)
    query = sorted((name.lower(), value) for name, value in parse_qsl(parts.query, keep_blank_values=True))
    return "\n".join(
        [
            method,
            *fixed,
            *(f"{name}:{' '.join(headers[name].split())}" for name in own),
            f"/{account}{parts.path}",
            *(f"{name}:{value}" for name, value in query),
        ]
    )


def _is_fresh(date: str) -> bool:
    try:
        return abs(datetime.now(UTC) - parsedate_to_datetime(date)) < FRESH
    except (ValueError, TypeError):
        return False
