"""Real servers for the store tests: versitygw for S3, Azurite behind the Data Lake translator, and a proxy with faults.

All listen on 127.0.0.1 only and end with the test session.
"""

from __future__ import annotations

import base64
import http.client
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ports import free_port
from tidegate.cluster import npm
from tidegate.cluster.programs import program
from tidegate.cluster.project import STANDINS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "tidegate"
ACCOUNT = "lake"


@dataclass(frozen=True)
class Server:
    """A store's server: the variables that reach it, and the URL of its bucket."""

    root: str
    environment: Mapping[str, str]
    address: str
    extra: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def running(
    command: list[str], *, port: int, log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; fails with its log when the port does not open within 60 s."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **environment}, cwd=log.parent)
    try:
        _wait_for(port, process, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"{process.args!r} does not answer on port {port}:\n{log.read_text()[-3000:]}")


@contextmanager
def versitygw(folder: Path) -> Iterator[Server]:
    """S3 with a versioned bucket."""
    for name in ("objects", "versions"):
        (folder / name).mkdir()
    port, key = free_port(), secrets.token_urlsafe(24)
    address = f"127.0.0.1:{port}"
    command = [str(program("versitygw")), "--quiet", "--port", address, "posix"]
    command += ["--versioning-dir", str(folder / "versions"), str(folder / "objects")]
    environment = {
        "AWS_ACCESS_KEY_ID": "tidegate-tests",
        "AWS_SECRET_ACCESS_KEY": key,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": f"http://{address}",
    }
    own = {"ROOT_ACCESS_KEY": "tidegate-tests", "ROOT_SECRET_KEY": key}
    with running(command, port=port, log=folder / "versitygw.log", environment=own):
        _make_bucket(environment)
        yield Server(f"s3://{BUCKET}", environment, address)


def _make_bucket(environment: Mapping[str, str]) -> None:
    from tests import boto  # noqa: PLC0415 - takes long, and not all tests want it

    client = boto.client(environment)
    client.create_bucket(Bucket=BUCKET)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})


def storage_key() -> str:
    """A new key of a storage account."""
    return base64.b64encode(secrets.token_bytes(64)).decode()


@contextmanager
def azurite(folder: Path, *keys: str, port: int, in_memory: bool = False) -> Iterator[str]:
    """Azurite's blob service with the account `ACCOUNT`; yields its URL. What is large wants `folder`, not memory."""
    command = [str(_azurite()), "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    command += ["--inMemoryPersistence"] if in_memory else ["--location", str(folder)]
    command += ["--skipApiVersionCheck", "--disableTelemetry", "--disableProductStyleUrl", "--silent"]
    own = {"AZURITE_ACCOUNTS": ":".join([ACCOUNT, *keys])}
    with running(command, port=port, log=folder / "azurite.log", environment=own):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def datalake(folder: Path) -> Iterator[Server]:
    """Data Lake Gen2: our translator before Azurite, with one filesystem."""
    key, reader = storage_key(), storage_key()
    blobs, lake, admin = free_port(), free_port(), free_port()
    translator = {
        "DATALAKE_ACCOUNT": ACCOUNT,
        "DATALAKE_KEY": key,
        "DATALAKE_READER_KEY": reader,
        "AZURITE_URL": f"http://127.0.0.1:{blobs}",
        "DATALAKE_LISTEN": f"127.0.0.1:{lake}",
        "DATALAKE_ADMIN": f"127.0.0.1:{admin}",
        "DATALAKE_FILESYSTEMS": BUCKET,
        "PYTHONPATH": os.pathsep.join([str(STANDINS / "datalake"), str(STANDINS)]),
    }
    environment = {"TIDEGATE_ABFSS_ENDPOINT": f"http://127.0.0.1:{lake}", "AZURE_STORAGE_KEY": key}
    with (
        azurite(folder, key, reader, port=blobs),
        running([sys.executable, "-m", "datalake"], port=lake, log=folder / "lake.log", environment=translator),
    ):
        extra = {"key": key, "reader": reader, "admin": f"127.0.0.1:{admin}", "blobs": f"http://127.0.0.1:{blobs}"}
        yield Server(f"abfss://{BUCKET}@{ACCOUNT}", environment, f"127.0.0.1:{lake}", extra)


def _azurite() -> Path:
    """Azurite's blob server, installed into the cache once."""
    if shutil.which("npm") is None:
        pytest.skip("npm is missing, which brings Azurite: install nodejs and npm")
    return npm.tree(STANDINS / "azurite") / ".bin" / "azurite-blob"


@dataclass
class FaultyProxy:
    """Passes requests on to `upstream`, but for those that a fault takes.

    `faults` are taken in order by the first request with their method: `lose answer` lets the server do it and then
    drops the connection, `503` answers so without asking it, `cut body` ends the answer in its middle.
    """

    upstream: str
    faults: list[tuple[str, str]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    address: str = ""

    @contextmanager
    def serving(self) -> Iterator[FaultyProxy]:
        """Serve on a free port until the block ends."""
        handler = type("Bound", (_Faulty,), {"proxy": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def fault_for(self, request: str) -> str:
        """The fault this request takes, if any; a fault's method may name more: `PUT rename`."""
        self.seen.append(request)
        if self.faults and request.startswith(self.faults[0][0]):
            return self.faults.pop(0)[1]
        return ""


class _Faulty(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultyProxy

    def any_method(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        what = "rename " if "x-ms-rename-source" in self.headers else ""
        fault = self.proxy.fault_for(f"{self.command} {what}{self.path}")
        self.close_connection = bool(fault)
        if fault == "503":
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        status, headers, answer = self._ask(body)
        if fault != "lose answer":
            self._answer(status, headers, answer[: len(answer) // 2] if fault == "cut body" else answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = any_method  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=30)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        length = {name.lower(): value for name, value in headers}.get("content-length", str(len(body)))
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
