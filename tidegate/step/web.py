"""Calls of web services: bounded in time, bytes and tries, and telling no secret.

Reads: http and https URLs, by the standard library; proxies of the environment are not used. Writes: nothing.
Again: a call that was refused for now (429, 5xx), or whose answer was late, torn or lost, is made again a few times;
`Retry-After` is obeyed. What went wrong is told with the URL's host and path: its query may hold a key.
"""

from __future__ import annotations

import json
import logging
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

from tidegate.step.errors import BadInput, TryAgain
from tidegate.step.exchange import Lost, Reply, exchange
from tidegate.step.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from urllib.parse import SplitResult

log = logging.getLogger(__name__)

THROTTLED, SERVER_FAULT = 429, 500
FOUND, KEEP_METHOD = (301, 302, 303, 307, 308), (307, 308)
REDIRECTS = 3
"""How often one call may be sent elsewhere on the same host."""
SAFE = frozenset({"DELETE", "GET", "HEAD", "PUT"})
"""Methods that may be tried again although an earlier try may have been carried out."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one call may take."""

    timeout: float = 10.0
    """Seconds for one try, from connecting to the last byte."""
    max_bytes: int = 1024 * 1024
    """Of an answer."""
    tries: int = 4
    """In all."""
    pause: float = 0.5
    """Seconds before the second try; doubled for each further one."""
    longest_wait: float = 60.0
    """Seconds that a Retry-After may ask for; a longer wait is left to the next run."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request. Secrets stand in `query` and `headers`, and are revealed on the wire only."""

    url: str
    method: str = "GET"
    query: Mapping[str, str | Secret] = field(default_factory=dict)
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.method} {public(self.url)}"


def public(url: str) -> str:
    """The URL without what may be secret in it: its query, its fragment and a password."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def call(
    request: Call,
    limits: Limits,
    *,
    before: Callable[[], None] = lambda: None,
    is_whole: Callable[[bytes], bool] = lambda _: True,
) -> Reply:
    """The answer to a call, whatever its status but 429 and 5xx.

    Args:
        request: What is asked.
        limits: What it may take.
        before: Called before every try: a place to wait.
        is_whole: Tells of the body of a 2xx answer whether it is all of it; if not, it counts as torn.

    Raises:
        TryAgain: No try was answered in time, whole, and with another status than 429 and 5xx.
        BadInput: The URL is none, the answer is too large, or it sends elsewhere.
    """
    for number in range(1, limits.tries + 1):
        before()
        try:
            reply = _followed(request, limits)
        except Lost as error:
            why, wanted = str(error), None
            if error.sent and request.method not in SAFE:
                raise TryAgain(f"{request}: {why}; not tried again, since it may have been carried out") from None
        else:
            why, wanted = _why_again(reply, is_whole), _retry_after(reply)
            if not why:
                return reply
        if number < limits.tries:
            _wait(request, why, number, wanted, limits)
    raise TryAgain(f"{request}: tried {limits.tries} times; the last time: {why}")


def is_json(body: bytes) -> bool:
    """Whether `body` is one whole JSON value."""
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def _why_again(reply: Reply, is_whole: Callable[[bytes], bool]) -> str:
    if reply.status == THROTTLED or reply.status >= SERVER_FAULT:
        return f"{reply.status} {reply.reason}".strip()
    if reply.ok and not is_whole(reply.body):
        return f"{reply.status} with {len(reply.body)} bytes that are no whole answer"
    return ""


def _wait(request: Call, why: str, number: int, wanted: float | None, limits: Limits) -> None:
    if wanted is not None and wanted > limits.longest_wait:
        longest = f"more than the {limits.longest_wait:.0f} s that are waited for"
        raise TryAgain(f"{request}: {why}, and a wait of {wanted:.0f} s was asked for, {longest}")
    seconds = limits.pause * 2 ** (number - 1) * random.uniform(0.5, 1)  # noqa: S311 (spreads callers)
    seconds = max(seconds, wanted or 0)
    log.info("%s: %s; try %d of %d in %.1f s", request, why, number + 1, limits.tries, seconds)
    time.sleep(seconds)


def _retry_after(reply: Reply) -> float | None:
    """Seconds that the server asks to wait: a number, or the time until a date."""
    text = reply.header("Retry-After").strip()
    if text.isdecimal():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return max(0.0, (date.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def _followed(request: Call, limits: Limits) -> Reply:
    """The answer, wherever on the same host it is."""
    target, method, body = _target(request), request.method, request.body
    headers = {name: _revealed(value) for name, value in request.headers.items()}
    for _ in range(REDIRECTS + 1):
        reply = exchange(method, target, headers, body, timeout=limits.timeout, max_bytes=limits.max_bytes)
        if reply.status not in FOUND or not reply.header("Location"):
            return reply
        if method != "GET" and reply.status not in KEEP_METHOD:
            raise BadInput(f"{request}: {reply.status} sends a {method} elsewhere as a GET; correct the URL")
        target = _same_host(request, target, reply.header("Location"))
    raise BadInput(f"{request}: sent elsewhere more than {REDIRECTS} times; correct the URL")


def _target(request: Call) -> SplitResult:
    parts = urlsplit(request.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{public(request.url)!r} is not a URL of a web service; want http:// or https://")
    added = urlencode({name: _revealed(value) for name, value in request.query.items()})
    return parts._replace(query="&".join(filter(None, (parts.query, added))), fragment="")


def _same_host(request: Call, here: SplitResult, location: str) -> SplitResult:
    there = urlsplit(urljoin(urlunsplit(here), location))
    same = (there.scheme, there.netloc) == (here.scheme, here.netloc)
    upgraded = (here.scheme, there.scheme) == ("http", "https") and there.hostname == here.hostname
    if not (same or upgraded):
        elsewhere = f"{there.scheme}://{there.netloc.rpartition('@')[2]}"
        raise BadInput(f"{request}: sends to another host, {elsewhere}, which is not called; correct the URL")
    return there


def _revealed(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value
