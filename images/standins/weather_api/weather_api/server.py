"""The HTTP face: who may ask, what for, and how often."""

from __future__ import annotations

import hmac
import json
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import faults

from weather_api.weather import PLACES, Place, place_of, weather

if TYPE_CHECKING:
    from collections.abc import Mapping

MINUTE = 60.0
BAD_KEY = "Invalid API key. Please see https://openweathermap.org/faq#error401 for more info."
ENDED = "This call is no longer available. Please see https://openweathermap.org/bbox-groupby-transfer for more info."
TOO_MANY = "Your account is temporary blocked due to exceeding of requests limitation of your subscription type."
NORTHMOST, EASTMOST = 90, 180


class Refused(Exception):  # noqa: N818 (what it says)
    """An answer other than success; `cod` is a number or a text, as the real API has it."""

    def __init__(
        self, status: int, message: str, *, text: bool = False, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.cod = str(status) if text else status
        self.headers = dict(headers or {})


@dataclass
class Plan:
    """How many calls a minute the account may make; safe among threads."""

    per_minute: int
    _calls: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self) -> None:
        """Count one call; Refused over the limit."""
        with self._lock:
            now = time.monotonic()
            while self._calls and self._calls[0] <= now - MINUTE:
                self._calls.popleft()
            if len(self._calls) >= self.per_minute:
                wait = int(self._calls[0] + MINUTE - now) + 1
                raise Refused(429, TOO_MANY, headers={"Retry-After": str(wait)})
            self._calls.append(now)


class Handler(BaseHTTPRequestHandler):
    """One request; key, plan and faults are set by `serve`."""

    protocol_version = "HTTP/1.1"
    key: str
    plan: Plan
    faults: faults.Faults

    def do_GET(self) -> None:
        """Answer as OpenWeatherMap does."""
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        if parts.path == "/healthz":
            self._send(200, {"status": "ok"})
            return
        asked = f"{query.get('lat', '')},{query.get('lon', '')}"
        fault = self.faults.take("weather", asked) if parts.path == "/data/2.5/weather" else None
        if fault and fault.do == "status":
            self._send(fault.status, {"cod": fault.status, "message": "as it was told"}, fault.headers)
            return
        try:
            self._send(200, self._answer(parts.path, query), fault=fault)
        except Refused as refused:
            self._send(refused.status, {"cod": refused.cod, "message": str(refused)}, refused.headers)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002 (the base class names it)
        """One line a request, without the query: the key is in it."""
        sys.stderr.write(f"{self.command} {urlsplit(self.path).path} {args[1] if len(args) > 1 else ''}\n")

    def _answer(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        if path in ("/data/2.5/group", "/data/2.5/box/city"):
            raise Refused(401, ENDED)
        if path != "/data/2.5/weather":
            raise Refused(404, "Internal error", text=True)
        if not hmac.compare_digest(query.get("appid", "").encode(), self.key.encode()):
            raise Refused(401, BAD_KEY)
        self.plan.count()
        return weather(_place(query), at=time.time(), units=query.get("units", "standard"))

    def _send(
        self,
        status: int,
        document: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        *,
        fault: faults.Fault | None = None,
    ) -> None:
        body = json.dumps(document).encode()
        self.faults.hold(fault)
        if fault and fault.do in ("lose", "torn"):
            self.close_connection = True
        if fault and fault.do == "lose":
            return
        self.send_response(status)
        own = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body))}
        for name, value in {**own, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if fault and fault.do == "torn" else body)


def _place(query: Mapping[str, str]) -> Place:
    if "id" in query:
        found = [place for place in PLACES if str(place.id) == query["id"]]
        if not found:
            raise Refused(404, "city not found", text=True)
        return found[0]
    if not {"lat", "lon"} <= query.keys():
        raise Refused(400, "Nothing to geocode", text=True)
    return place_of(_degrees(query["lat"], NORTHMOST, "latitude"), _degrees(query["lon"], EASTMOST, "longitude"))


def _degrees(text: str, most: float, name: str) -> float:
    try:
        degrees = float(text)
    except ValueError:
        degrees = most + 1
    if not abs(degrees) <= most:
        raise Refused(400, f"wrong {name}", text=True)
    return degrees


def serve(*, key: str, listen: str, admin: str, per_minute: int) -> None:
    """Answer requests until SIGTERM."""
    faults.serve(Handler, listen=listen, admin=admin, key=key, plan=Plan(per_minute))
