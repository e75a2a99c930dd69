"""The HTTP face: which calls are translated, which are passed on."""

from __future__ import annotations

import http.client
import json
import sys
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

import faults
from azure.core.exceptions import HttpResponseError

from datalake.lake import Conditions, Lake, Refused

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from datalake.access import Access

PIECE = 1024 * 1024
MOST_ENTRIES = 5000
NOT_PASSED_ON = frozenset({"connection", "host", "keep-alive", "transfer-encoding"})
VERSION = "2021-12-02"
DELEGATION = "userdelegationkey"
XML = {"Content-Type": "application/xml"}


@dataclass(frozen=True, kw_only=True)
class Account:
    """Whose lake it is, and where its blobs are."""

    access: Access
    upstream: str
    lake: Lake


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a translated call is answered with."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class Handler(BaseHTTPRequestHandler):
    """One request; `account` and `faults` are set by `serve`."""

    protocol_version = "HTTP/1.1"
    account: Account
    faults: faults.Faults
    fault: faults.Fault | None = None

    def handle_any(self) -> None:
        """Translate the calls that Azurite does not know, pass on all others."""
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        _, filesystem, path = (*unquote(parts.path).lstrip("/").split("/", 2), "", "")[:3]
        path = path.strip("/")
        if self.account.access.is_change_by_reader(self.command, self.path, dict(self.headers.items())):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.fault = None
            self._send(_refusal(403, "AuthorizationPermissionMismatch", "This key may read and nothing else."))
            return
        call = self._call(path, query)
        self.fault = self.faults.take(call, f"{filesystem}/{path}")
        if self.fault and self.fault.do == "status":
            self._refuse_as_told(self.fault)
            return
        if call == "blob":
            self._pass_on()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            answer = self._translated(filesystem, path, query, body)
        except Refused as refused:
            answer = _refusal(refused.status, refused.code, str(refused))
        except HttpResponseError as error:
            answer = _refusal(
                error.status_code or 500, str(getattr(error, "error_code", "") or "InternalError"), error.message
            )
        except (ValueError, KeyError) as error:
            answer = _refusal(400, "InvalidInput", f"{type(error).__name__}: {error}")
        self._send(answer)

    do_GET = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_POST = handle_any  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002 (the base class names it)
        """One line a request, without the query: it may hold a signature."""
        sys.stderr.write(f"{self.command} {urlsplit(self.path).path} {args[1] if len(args) > 1 else ''}\n")

    def _call(self, path: str, query: Mapping[str, str]) -> str:
        """What is asked, in the words of the lake; `blob` for what Azurite knows itself."""
        if self.command == "GET" and query.get("resource") == "filesystem":
            return "list"
        if self.command == "PUT" and path and "x-ms-rename-source" in self.headers:
            return "rename"
        if self.command == "PUT" and path and query.get("resource") in ("file", "directory"):
            return "create"
        if self.command == "PATCH":
            return query.get("action", "")
        if self.command == "POST" and query.get("comp") == DELEGATION:
            return "delegate"
        return "delete" if self.command == "DELETE" and path and "restype" not in query else "blob"

    def _refuse_as_told(self, fault: faults.Fault) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.fault = None
        refusal = _refusal(fault.status, "AsItWasTold", "As it was told.")
        self._send(replace(refusal, headers={**refusal.headers, **fault.headers}))

    def _lost(self) -> bool:
        """Let the fault of this call, if any, delay the answer; whether it takes the answer away."""
        self.faults.hold(self.fault)
        if self.fault and self.fault.do in ("lose", "torn"):
            self.close_connection = True
        return bool(self.fault and self.fault.do == "lose")

    def _translated(self, filesystem: str, path: str, query: Mapping[str, str], body: bytes) -> Answer:
        headers, access = dict(self.headers.items()), self.account.access
        if query.get("comp") == DELEGATION:
            return Answer(status=200, headers=XML, body=access.delegation_key(headers, body))
        access.refuse(self.command, self.path, headers)
        if self.command == "GET":
            return self._list(filesystem, query)
        if self.command == "DELETE":
            self.account.lake.delete(filesystem, path, recursive=query.get("recursive") == "true")
            return Answer(status=200, headers={})
        if self.command == "PUT":
            return Answer(status=201, headers=self._put(filesystem, path, query))
        return self._patch(filesystem, path, query, body)

    def _put(self, filesystem: str, path: str, query: Mapping[str, str]) -> dict[str, str]:
        source = self.headers.get("x-ms-rename-source", "")
        if not source:
            properties, folder = self.headers.get("x-ms-properties", ""), query["resource"] == "directory"
            return self.account.lake.create(
                filesystem, path, folder=folder, properties=properties, conditions=self._conditions()
            )
        from_filesystem, _, from_path = unquote(source.partition("?")[0]).strip("/").partition("/")
        return self.account.lake.rename(
            (from_filesystem, from_path),
            filesystem,
            path,
            source_match=self.headers.get("x-ms-source-if-match", ""),
            conditions=self._conditions(),
        )

    def _patch(self, filesystem: str, path: str, query: Mapping[str, str], body: bytes) -> Answer:
        position = int(query.get("position", "0"))
        if query.get("action") == "append":
            self.account.lake.append(filesystem, path, body, position=position)
            return Answer(status=202, headers={})
        if query.get("action") == "flush":
            marks = self.account.lake.flush(filesystem, path, position=position, conditions=self._conditions())
            return Answer(status=200, headers=marks)
        raise Refused(501, "NotImplemented", f"action={query.get('action')} is not translated")

    def _list(self, filesystem: str, query: Mapping[str, str]) -> Answer:
        entries, following = self.account.lake.list_paths(
            filesystem,
            query.get("directory", "").strip("/"),
            recursive=query.get("recursive") == "true",
            most=min(int(query.get("maxResults", MOST_ENTRIES)), MOST_ENTRIES),
            continuation=query.get("continuation", ""),
        )
        headers = {"x-ms-continuation": following} if following else {}
        return Answer(status=200, headers=headers, body=json.dumps({"paths": entries}).encode())

    def _conditions(self) -> Conditions:
        return Conditions(
            if_match=self.headers.get("If-Match", ""), if_none_match=self.headers.get("If-None-Match", "")
        )

    def _send(self, answer: Answer) -> None:
        if self._lost():
            return
        self.send_response(answer.status)
        own = {"Content-Type": "application/json", "Content-Length": str(len(answer.body)), "x-ms-version": VERSION}
        for name, value in {**own, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self._write(answer.body)

    def _write(self, body: bytes) -> None:
        self.wfile.write(body[: len(body) // 2] if self.fault and self.fault.do == "torn" else body)

    def _pass_on(self) -> None:
        """Hand the request to the blob service and its answer back, in pieces."""
        try:
            target, headers = self.account.access.passed_on(self.command, self.path, dict(self.headers.items()))
        except Refused as refused:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._send(_refusal(refused.status, refused.code, str(refused)))
            return
        connection = http.client.HTTPConnection(self.account.upstream.partition("//")[2], timeout=120)
        try:
            connection.putrequest(self.command, target, skip_accept_encoding=True)
            for name, value in headers.items():
                if name.lower() not in NOT_PASSED_ON:
                    connection.putheader(name, value)
            connection.endheaders()
            left = int(self.headers.get("Content-Length") or 0)
            while left and (piece := self.rfile.read(min(PIECE, left))):
                connection.send(piece)
                left -= len(piece)
            self._hand_back(connection.getresponse())
        finally:
            connection.close()

    def _hand_back(self, response: http.client.HTTPResponse) -> None:
        known = response.getheader("Content-Length") is not None or self.command == "HEAD"
        body = b"" if known else response.read()
        if self._lost():
            return
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in NOT_PASSED_ON:
                self.send_header(name, value)
        if not known:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        while known and self.command != "HEAD" and (piece := response.read(PIECE)):
            self._write(piece)


def serve(account: Account, *, listen: str, admin: str, tls: ssl.SSLContext | None = None) -> None:
    """Answer requests until SIGTERM; `listen` and `admin` are host:port."""
    faults.serve(Handler, listen=listen, admin=admin, tls=tls, account=account)


def _refusal(status: int, code: str, message: str) -> Answer:
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    return Answer(status=status, headers={"x-ms-error-code": code}, body=body)
