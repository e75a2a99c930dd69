"""The HTTP face: who is asked, whether they may, what goes wrong on demand, and what is remembered of it.

`GET /asked` at the admin endpoint tells every request in order, with its path and never with what it carried;
`GET /signed_in` every attempt to sign in, and how; `GET /runs` the state of every job; `GET /resources` what was sent
for everything that is there, by its path. `DELETE /calls` forgets requests and jobs, `DELETE /world` everything.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import faults
from entra import Unacceptable, serving

from azure_ml_api import history, workspaces
from azure_ml_api.world import Refused, World

if TYPE_CHECKING:
    from collections.abc import Mapping


class Handler(BaseHTTPRequestHandler):
    """One request; `world` and `faults` are set by `serve`."""

    protocol_version = "HTTP/1.1"
    world: World
    faults: faults.Faults
    fault: faults.Fault | None = None

    def handle_any(self) -> None:
        """Answer as Entra, Resource Manager, the run history, a scoring URI or the storage account does."""
        path = urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.fault = None
        if path == "/healthz":
            self._send(200, {"status": "ok"})
            return
        with self.world.lock:
            version = dict(parse_qsl(urlsplit(self.path).query)).get("api-version", "")
            self.world.asked.append({"method": self.command, "path": path, "version": version})
        self.fault = self.faults.take(self.command, path)
        if self.fault and self.fault.do == "status":
            document = {"error": {"code": "AsItWasTold", "message": "as it was told"}}
            self._send(self.fault.status, document, self.fault.headers)
            return
        storage = self.world.storage
        by_host = self.headers.get("Host", "") == storage.host
        if by_host or path.startswith(f"/{storage.account}/"):
            self._pass_on(f"/{storage.account}{self.path}" if by_host else self.path, body)
            return
        try:
            with self.world.lock:
                status, document, headers = self._answer(path, body)
        except Refused as refused:
            status, headers = refused.status, {"x-ms-error-code": refused.code}
            document = {"error": {"code": refused.code, "message": str(refused)}}
        if self.fault and self.fault.do == "fail":
            status, document = self.fault.status, {"error": {"code": "AsItWasTold", "message": "done, all the same"}}
        self._send(status, document, headers)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002 (the base class names it)
        """One line a request, without the query: it may hold a signature."""
        sys.stderr.write(f"{self.command} {urlsplit(self.path).path} {args[1] if len(args) > 1 else ''}\n")

    def _answer(self, path: str, body: bytes) -> workspaces.Answer:
        if found := self._open(path, body):
            return found
        if not path.startswith("/score/") and not self._has_token():
            challenge = {"WWW-Authenticate": f'Bearer authorization_uri="{self.world.url}/tenant"'}
            return 401, {"error": {"code": "AuthenticationFailed", "message": "no token"}}, challenge
        if path.startswith("/operations/"):
            return 200, self._operation(int(path.rpartition("/")[2])), workspaces.SOON
        if found := history.answer(self.world, path, body):
            return 200, found, {}
        if path.startswith("/score/"):
            given = {name.lower(): value for name, value in self.headers.items()}
            return workspaces.score(self.world, path.removeprefix("/score"), given, body)
        return workspaces.answer(self.world, self.command, path, body)

    def _open(self, path: str, body: bytes) -> workspaces.Answer | None:
        """What needs no token."""
        tenant, _, rest = path.strip("/").partition("/")
        if found := self.world.entra.answer(self.path, body):
            return (*found, {})
        if path == "/metadata/endpoints":
            return 200, [self._cloud()], {}
        if path.startswith("/discovery"):
            return 200, dict.fromkeys(("api", "catalog", "experimentation", "history"), self.world.url), {}
        return (200, history.log(rest), {}) if tenant == "joblogs" else None

    def _has_token(self) -> bool:
        """Whether it brings a token that Entra signed for us."""
        url = self.world.url
        try:
            self.world.entra.accept(self.headers.get("Authorization", ""), audiences=(url, f"{url}/"))
        except Unacceptable:
            return False
        return True

    def _cloud(self) -> dict[str, Any]:
        url = self.world.url
        return {
            "name": "StandIn",
            "portal": url,
            "resourceManager": url,
            "authentication": {"loginEndpoint": url, "audiences": [url]},
            "suffixes": {"storage": self.world.storage.suffix},
        }

    def _operation(self, number: int) -> dict[str, Any]:
        operation = self.world.operations[number]
        operation["looks"] -= 1
        if operation["looks"] >= 0:
            return {"status": "InProgress"}
        if operation["fails"]:
            return {"status": "Failed", "error": {"code": "OutOfQuota", "message": "Not enough quota: 4 cores wanted"}}
        return {"status": "Succeeded"}

    def _pass_on(self, path: str, body: bytes) -> None:
        status, headers, answer = self.world.storage.pass_on(self.command, path, dict(self.headers.items()), body)
        known = {"transfer-encoding", "content-length", "connection", "keep-alive"}
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in known:
                self.send_header(name, value)
        size = dict(headers).get("Content-Length", "0") if self.command == "HEAD" else str(len(answer))
        self.send_header("Content-Length", size)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    def _send(self, status: int, document: object, headers: Mapping[str, str] | None = None) -> None:
        body = (
            document.encode()
            if isinstance(document, str)
            else b""
            if document is None
            else json.dumps(document).encode()
        )
        self.faults.hold(self.fault)
        if self.fault and self.fault.do in ("lose", "torn"):
            self.close_connection = True
        if self.fault and self.fault.do == "lose":
            return
        kind = "text/plain" if isinstance(document, str) else "application/json"
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.fault and self.fault.do == "torn" else body)


def serve(world: World, *, listen: str, admin: str, certificate: str, private_key: str) -> None:
    """Answer requests until SIGTERM."""
    tells = {
        "asked": lambda: {"asked": world.asked},
        "signed_in": lambda: {"signed_in": world.entra.signed_in},
        "runs": lambda: {"runs": world.states()},
        "resources": lambda: {"resources": world.all()},
    }
    faults.serve(
        Handler,
        listen=listen,
        admin=admin,
        tls=serving.tls(certificate, private_key),
        tells=tells,
        forgets={"world": world.forget, "calls": world.forget_calls},
        world=world,
    )
