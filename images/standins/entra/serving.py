"""What every stand-in with certificates and JSON needs, and the metadata endpoint of a machine."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entra.issuing import Entra


def tls(certificate: str, private_key: str) -> ssl.SSLContext:
    """What a server shows; both are PEM files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private_key)
    return context


def public_key(path: str) -> rsa.RSAPublicKey:
    """The RSA key of a PEM file; ValueError for any other."""
    key = load_pem_public_key(Path(path).read_bytes())
    if not isinstance(key, rsa.RSAPublicKey):
        message = f"{path} is no public RSA key"
        raise ValueError(message)  # noqa: TRY004 - its content is what is wrong
    return key


def send(
    handler: BaseHTTPRequestHandler, status: int, document: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> None:
    """Answer with JSON."""
    body = json.dumps(document).encode()
    handler.send_response(status)
    own = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    for name, value in {**own, **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


class _Machine(BaseHTTPRequestHandler):
    entra: Entra

    def do_GET(self) -> None:
        send(self, *self.entra.machine(self.path, {name.lower(): value for name, value in self.headers.items()}))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silent: what was asked stands among the attempts to sign in."""


def serve_machine(entra: Entra, *, listen: str) -> None:
    """Answer at host:port, beside whatever else runs, until the process ends."""
    host, _, port = listen.rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), type("Bound", (_Machine,), {"entra": entra}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
