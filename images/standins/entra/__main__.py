"""Serve Entra alone at `ENTRA_LISTEN` and `ENTRA_ADMIN` (host:port), with TLS.

`ENTRA_URL` is how it is reached: https://host:port. `ENTRA_CERTIFICATE` and `ENTRA_PRIVATE_KEY` name PEM files.
`ENTRA_CLIENT_SECRET` is what service principals sign in with; `ENTRA_ISSUER`, a PEM file, is the public key of whose
federated tokens are believed. `GET /signed_in` at the admin endpoint tells every attempt to sign in.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

import faults

from entra import serving
from entra.issuing import Entra

NAMES = (
    *("ENTRA_LISTEN", "ENTRA_ADMIN", "ENTRA_URL", "ENTRA_CERTIFICATE", "ENTRA_PRIVATE_KEY"),
    *("ENTRA_CLIENT_SECRET", "ENTRA_ISSUER"),
)


class Handler(BaseHTTPRequestHandler):
    """One request; `entra` and `faults` are set by `faults.serve`."""

    protocol_version = "HTTP/1.1"
    entra: Entra
    faults: faults.Faults

    def handle_any(self) -> None:
        """Answer as a tenant does."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.faults.take(self.command, urlsplit(self.path).path)
        if fault:
            serving.send(self, fault.status, {"error": "as_it_was_told"})
            return
        status, document = self.entra.answer(self.path, body) or (404, {"error": "not_found"})
        serving.send(self, status, document)

    do_GET = do_POST = handle_any  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002 (the base class names it)
        """One line a request, without what it carries."""
        sys.stderr.write(f"{self.command} {urlsplit(self.path).path} {args[1] if len(args) > 1 else ''}\n")


def main() -> None:
    """Serve until SIGTERM, or say what is not set."""
    given = faults.given(NAMES)
    own = Entra(
        url=given["ENTRA_URL"],
        secret=given["ENTRA_CLIENT_SECRET"],
        issuer=serving.public_key(given["ENTRA_ISSUER"]),
    )
    faults.serve(
        Handler,
        listen=given["ENTRA_LISTEN"],
        admin=given["ENTRA_ADMIN"],
        tls=serving.tls(given["ENTRA_CERTIFICATE"], given["ENTRA_PRIVATE_KEY"]),
        tells={"signed_in": lambda: {"signed_in": own.signed_in}},
        forgets={"signed_in": own.signed_in.clear},
        entra=own,
    )


main()
