"""A web service that answers as a test says, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Answer:
    """One answer; `how` may be whole, torn (half of what is announced), chunked (cut in a chunk), drip or lose."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    how: str = "whole"


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Script:
    """Answers in order, the last one again and again."""

    answers: list[Answer]
    asked: list[Asked] = field(default_factory=list)
    address: str = ""

    @property
    def url(self) -> str:
        return f"http://{self.address}/api"

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def scripted(*answers: Answer) -> Iterator[Script]:
    """Serve until the block ends."""
    script = Script(list(answers))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"script": script}))
    script.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def as_json(value: object, **more: object) -> Answer:
    return Answer(body=json.dumps(value).encode(), headers={"Content-Type": "application/json"}, **more)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    script: Script

    def any_method(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.script.asked.append(Asked(self.command, self.path, dict(self.headers.items()), body))
        answer = self.script.next()
        if answer.how == "lose":
            return
        self.send_response(answer.status)
        length = {"Transfer-Encoding": "chunked"} if answer.how == "chunked" else self._length(answer)
        for name, value in {**answer.headers, **length}.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):
            self._write(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = any_method  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    @staticmethod
    def _length(answer: Answer) -> dict[str, str]:
        return {"Content-Length": str(len(answer.body))}

    def _write(self, answer: Answer) -> None:
        if answer.how == "drip":
            for byte in answer.body:
                self.wfile.write(bytes([byte]))
                time.sleep(0.05)
        elif answer.how == "chunked":
            self.wfile.write(b"%x\r\n%s" % (len(answer.body), answer.body[: len(answer.body) // 2]))
        else:
            self.wfile.write(answer.body[: len(answer.body) // 2] if answer.how == "torn" else answer.body)
