"""Faults on demand: what a stand-in does wrong, when its admin endpoint was told so.

`POST /faults` adds one, a JSON object:
    call      which call it is for, in the stand-in's own words
    match     text that must stand in what is asked for; any by default
    skip      such calls that go well before; 0 by default
    times     such calls that go wrong; 1 by default
    do        status: answered with `status` and `headers`, and not carried out
              fail: carried out, and answered with `status` all the same
              lose: carried out, and the connection closed without an answer
              slow: carried out, and answered after `seconds`
              torn: carried out, and only the first half of the answer sent
A stand-in may have more to tell there: `GET /<name>`, and to forget: `DELETE /<name>`.
`GET /faults` tells which wait, which were taken, in order, and of which slow calls the answer has been held back: those
are carried out by then. `DELETE /faults` forgets all.
The endpoint has a port of its own, so that who reaches the stand-in need not reach this.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass, field, fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

KINDS = ("status", "fail", "lose", "slow", "torn")


def given(names: Sequence[str]) -> dict[str, str]:
    """What a stand-in must be told, by environment variable; where some are not set, it ends and names them."""
    if missing := [f"${name}" for name in names if not os.environ.get(name)]:
        sys.exit(f"set {', '.join(missing)}")
    return {name: os.environ[name] for name in names}


@dataclass
class Fault:
    """One fault, until it has been taken `times` times."""

    call: str
    do: str
    match: str = ""
    skip: int = 0
    times: int = 1
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0

    def __post_init__(self) -> None:
        if self.do not in KINDS:
            message = f"do is {self.do!r}; want one of {', '.join(KINDS)}"
            raise ValueError(message)


@dataclass
class Faults:
    """All that are waiting, and what was taken; safe among threads."""

    waiting: list[Fault] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, call: str, what: str) -> Fault | None:
        """The fault of this call, if there is one; `what` is what is asked for."""
        with self._lock:
            for fault in self.waiting:
                if fault.call == call and fault.match in what:
                    return self._take(fault, call)
        return None

    def _take(self, fault: Fault, call: str) -> Fault | None:
        if fault.skip:
            fault.skip -= 1
            return None
        fault.times -= 1
        if not fault.times:
            self.waiting.remove(fault)
        self.taken.append(f"{call} {fault.do}")
        return fault

    def hold(self, fault: Fault | None) -> None:
        """Wait if the fault is slow; called when the call has been carried out."""
        if fault and fault.do == "slow":
            with self._lock:
                self.held.append(fault.call)
            time.sleep(fault.seconds)

    def add(self, document: dict[str, Any]) -> None:
        """One more; ValueError when it is none."""
        known = {one.name for one in fields(Fault)}
        if not isinstance(document, dict) or not {"call", "do"} <= document.keys() <= known:
            message = f"want call, do, and some of {', '.join(sorted(known))}"
            raise ValueError(message)
        with self._lock:
            self.waiting.append(Fault(**document))

    def forget(self) -> None:
        """None waits, and none was taken."""
        with self._lock:
            self.waiting.clear()
            self.taken.clear()
            self.held.clear()

    def state(self) -> dict[str, Any]:
        """What `GET /faults` answers."""
        with self._lock:
            waiting = [asdict(fault) for fault in self.waiting]
            return {"waiting": waiting, "taken": list(self.taken), "held": list(self.held)}


class _Admin(BaseHTTPRequestHandler):
    faults: Faults
    tells: Mapping[str, Callable[[], dict[str, Any]]]
    forgets: Mapping[str, Callable[[], None]]

    def do_GET(self) -> None:
        tell = self.tells.get(self.path.strip("/"))
        self._send(200 if tell or self.path == "/faults" else 404, tell() if tell else None)

    def do_DELETE(self) -> None:
        self.forgets.get(self.path.strip("/"), self.faults.forget)()
        self._send(200)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self.faults.add(json.loads(body))
        except (ValueError, TypeError) as error:
            self._send(400, {"error": str(error)})
        else:
            self._send(200)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silent: probes and tests ask often."""

    def _send(self, status: int, document: dict[str, Any] | None = None) -> None:
        body = json.dumps(document or self.faults.state()).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(
    handler: type[BaseHTTPRequestHandler],
    *,
    listen: str,
    admin: str,
    tls: ssl.SSLContext | None = None,
    tells: Mapping[str, Callable[[], dict[str, Any]]] | None = None,
    forgets: Mapping[str, Callable[[], None]] | None = None,
    **known: object,
) -> None:
    """Answer as `handler` until SIGTERM; it finds `known` and its `faults` as attributes.

    Args:
        handler: The stand-in's own.
        listen: Its `host:port`.
        admin: The `host:port` where faults are told.
        tls: For the stand-in's own port, where it is to be https.
        tells: What else the admin endpoint tells, by name.
        forgets: What else it forgets, by name.
        known: What else a request needs to know.
    """
    faults = Faults()
    server = _bound(handler, listen, faults=faults, **known)
    telling = _bound(_Admin, admin, faults=faults, tells=tells or {}, forgets=forgets or {})
    if tls:  # the handshake is left to the thread of the request: nobody may hold up the others
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=telling.serve_forever, daemon=True).start()
    signal.signal(signal.SIGTERM, _stop)
    with server:
        server.serve_forever()


def _bound(handler: type[BaseHTTPRequestHandler], listen: str, **known: object) -> ThreadingHTTPServer:
    host, _, port = listen.rpartition(":")
    return ThreadingHTTPServer((host, int(port)), type("Bound", (handler,), known))


def _stop(_: int, __: FrameType | None) -> None:
    sys.exit(0)
