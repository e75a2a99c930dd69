"""One HTTP request and its whole answer, or a word for why there is none.

Reads: a socket. Writes: nothing. Again: asks again; whether that is right is the caller's affair.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.step.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from urllib.parse import SplitResult

PIECE = 64 * 1024
AGENT = "tidegate"


class Lost(Exception):  # noqa: N818 (what happened)
    """There is no whole answer; `sent` tells whether the request may have been carried out."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A whole answer."""

    status: int
    reason: str
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return self.status // 100 == 2  # noqa: PLR2004 (the class of statuses)

    def header(self, name: str) -> str:
        """The value of a header, empty where there is none."""
        return self.headers.get(name.lower(), "")


def exchange(
    method: str, target: SplitResult, headers: Mapping[str, str], body: bytes, *, timeout: float, max_bytes: int
) -> Reply:
    """Send one request and read its answer, all within `timeout` seconds.

    Raises:
        Lost: The answer did not come, came late, or ended before its end.
        BadInput: It is larger than `max_bytes`, or the request cannot be put on the wire.
    """
    sent = False
    try:
        with _connected(target, timeout) as (connection, check):
            sent = True
            connection.request(method, _path(target), body=body or None, headers=_headers(headers))
            response = connection.getresponse()
            read = _body(response, max_bytes, public=f"{target.hostname}{target.path}")
            check()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Reply(status=response.status, reason=response.reason, headers=names, body=read)
    except (ValueError, UnicodeError, http.client.InvalidURL) as error:
        raise BadInput(f"{target.hostname}{target.path} cannot be called: {type(error).__name__}") from None
    except (OSError, http.client.HTTPException) as error:
        raise Lost(_words(error, timeout), sent=sent) from None


def _connection(target: SplitResult, timeout: float) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    return kind(str(target.hostname), target.port, timeout=timeout)


def _path(target: SplitResult) -> str:
    return f"{target.path or '/'}{'?' if target.query else ''}{target.query}"


def _headers(given: Mapping[str, str]) -> dict[str, str]:
    return {"User-Agent": AGENT, "Accept": "application/json", "Connection": "close", **given}


class Late(OSError):  # noqa: N818 (what happened)
    """The time for one try is over."""


@contextmanager
def _connected(target: SplitResult, seconds: float) -> Iterator[tuple[http.client.HTTPConnection, _Check]]:
    """A connection that is cut when the time is over: a timeout of the socket would count from byte to byte."""
    check = _Check(time.monotonic() + seconds)
    connection = _connection(target, seconds)
    connection.connect()
    timer = threading.Timer(check.left(), _cut, [connection.sock])
    timer.daemon = True
    timer.start()
    try:
        yield connection, check
    except (OSError, http.client.HTTPException):
        check()
        raise
    finally:
        timer.cancel()
        connection.close()


@dataclass(frozen=True)
class _Check:
    """Raises Late once the time is over."""

    until: float

    def left(self) -> float:
        """Seconds until then."""
        return max(0.0, self.until - time.monotonic())

    def __call__(self) -> None:
        if not self.left():
            raise Late


def _cut(plain: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(plain, socket.SHUT_RDWR)  # of the socket below TLS, which another thread reads


def _body(response: http.client.HTTPResponse, max_bytes: int, *, public: str) -> bytes:
    pieces, size = [], 0
    while piece := response.read(min(PIECE, max_bytes + 1 - size)):
        pieces.append(piece)
        size += len(piece)
        if size > max_bytes:
            raise BadInput(f"{public} answered with more than {max_bytes} bytes")
    # `read(n)` ends quietly where the connection does: only the length that was announced tells a torn answer.
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(pieces)


def _words(error: Exception, timeout: float) -> str:
    if isinstance(error, Late | TimeoutError):
        return f"no whole answer within {timeout:g} s"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer was torn: it ended before its end"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    return f"{type(error).__name__}: {error}"
