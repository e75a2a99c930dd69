"""`fetch_weather serve`: the same weather by HTTP, for whoever calls it by name.

Reads: `POST /weather` with a JSON object, which may hold `cities` and `units`, and the bearer token of
`$SERVICE_FETCH_WEATHER_TOKEN`. Writes: nothing but the answer, the bytes that the step would write.
Answers: 200; 400 for a body that is none, 413 for one that is too large; 401 without the token; 502 when the API
refuses; 503, with Retry-After, when it is to be tried again. `GET /healthz` says that it runs.
Again: asks the API again.
"""

from __future__ import annotations

import hmac
import json
import logging
import threading
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

from jobs.fetch_weather import api, cities, envelope
from jobs.fetch_weather.step import Asking, api_of
from tidegate.step import BadSettings, Secret, StepError, TryAgain, param, secret
from tidegate.step.secret import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

LARGEST = 64 * 1024
"""Bytes of a request."""
PATIENCE = 30
"""Seconds that a client may take over its request."""
RETRY_AFTER = "30"
AT_ONCE = 8
"""Requests that wait for the API together; more are told to come back."""


@dataclass(frozen=True, kw_only=True)
class Settings(Asking):
    """What the service can be told."""

    port: int = param(8080, variable="PORT", at_least=0, at_most=65535)
    """Where it listens, on every address."""
    token: Secret = secret("SERVICE_FETCH_WEATHER_TOKEN")
    """What callers show."""


def serve(settings: Settings) -> None:
    """Answer until SIGTERM; what is being answered then is answered to its end."""
    with server(settings) as listening:
        log.info("listening on port %d", listening.server_port)
        listening.serve_forever()


def server(settings: Settings) -> ThreadingHTTPServer:
    """A server that listens and does not answer yet."""
    cities.parse(settings.cities)
    own = {"settings": settings, "api": api_of(settings), "places": threading.Semaphore(AT_ONCE)}
    bound = type("Bound", (_Handler,), own)
    listening = ThreadingHTTPServer(("", settings.port), bound)
    listening.daemon_threads = False
    return listening


class _Refused(Exception):  # noqa: N818 (what it says)
    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    timeout = PATIENCE
    settings: ClassVar[Settings]
    api: ClassVar[api.Api]
    places: ClassVar[threading.Semaphore]

    def do_GET(self) -> None:
        """Whether it runs."""
        if self.path == "/healthz":
            self._send(HTTPStatus.OK, b'{"status": "ok"}')
        else:
            self._fail(HTTPStatus.NOT_FOUND, "want POST /weather or GET /healthz")

    def do_POST(self) -> None:
        """The weather."""
        try:
            self._send(HTTPStatus.OK, self._weather())
        except _Refused as refused:
            self._fail(refused.status, str(refused))
        except BadSettings as error:
            self._fail(HTTPStatus.BAD_REQUEST, str(error))
        except TryAgain as error:
            self._fail(HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Retry-After": RETRY_AFTER})
        except StepError as error:
            self._fail(HTTPStatus.BAD_GATEWAY, str(error))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002 (the base class names it)
        """One line a request, without the query."""
        log.info("%s %s %s", self.command, self.path.partition("?")[0], args[1] if len(args) > 1 else "")

    def _weather(self) -> bytes:
        if self.path.partition("?")[0] != "/weather":
            raise _Refused(HTTPStatus.NOT_FOUND, "want POST /weather or GET /healthz")
        body = self._body()
        self._refuse_strangers()
        asked = self._asked(body)
        wanted = cities.parse(asked.cities)
        if not self.places.acquire(blocking=False):
            raise TryAgain(f"{AT_ONCE} requests are being answered already")
        try:
            return envelope.to_bytes(api.weather_of(wanted, replace(self.api, units=asked.units)))
        finally:
            self.places.release()

    def _refuse_strangers(self) -> None:
        wanted = f"Bearer {self.settings.token.reveal()}"
        if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), wanted.encode()):
            raise _Refused(HTTPStatus.UNAUTHORIZED, "want the bearer token of $SERVICE_FETCH_WEATHER_TOKEN")

    def _asked(self, sent: bytes) -> Settings:
        """The settings, with what the request says in place of theirs."""
        body = _object(sent)
        if unknown := sorted(body.keys() - {"cities", "units"}):
            raise _Refused(HTTPStatus.BAD_REQUEST, f"{', '.join(unknown)} is not known; want cities, units or nothing")
        if not isinstance(body.get("cities", []), list) or body.get("cities") == []:
            raise _Refused(HTTPStatus.BAD_REQUEST, f"cities is {body['cities']!r}; want a list with at least one")
        if body.get("units", "standard") not in api.UNITS:
            raise _Refused(HTTPStatus.BAD_REQUEST, f"units is {body['units']!r}; want one of {', '.join(api.UNITS)}")
        return replace(self.settings, **body)  # type: ignore[arg-type] # both were looked at

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal():
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "want a Content-Length")
        if int(length) > LARGEST:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"want at most {LARGEST} bytes")
        return self.rfile.read(int(length))

    def _fail(self, status: HTTPStatus, message: str, headers: Mapping[str, str] | None = None) -> None:
        message = redact(message, (self.settings.key.reveal(), self.settings.token.reveal()))
        log.info("%d: %s", status, message)
        self._send(status, json.dumps({"error": message}).encode(), headers)

    def _send(self, status: HTTPStatus, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        own = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in {**own, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _object(body: bytes) -> dict[str, object]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        raise _Refused(HTTPStatus.BAD_REQUEST, "the body is no JSON") from None
    if not isinstance(found, dict):
        raise _Refused(HTTPStatus.BAD_REQUEST, "want a JSON object")
    return found
