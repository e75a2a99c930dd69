"""A mail server on loopback that keeps what it gets: TLS by STARTTLS and a login are required.

Reads: mails. Writes: `messages`; `crash_after` mails it drops the connection after taking the mail, before it answers.
"""

from __future__ import annotations

import ssl
import subprocess
from email import message_from_bytes, policy
from typing import TYPE_CHECKING

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.ports import free_port

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path


class Catcher:
    """What arrived."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.answers: list[str] = []
        self.encrypted: list[bool] = []

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        self.encrypted.append(session.ssl is not None)
        answer = self.answers.pop(0) if self.answers else "250 kept"
        if answer == "drop":
            server.transport.abort()
        return answer

    def login(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: LoginPassword
    ) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"mailer", b"letmein"), handled=False)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate for 127.0.0.1, its own authority."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-keyout", str(key), "-out", str(cert), "-subj", "/CN=catcher", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, cert


class Running(Controller):
    """The server in a thread; a free port is taken."""

    def __init__(self, catcher: Catcher, key: Path, cert: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        super().__init__(catcher, hostname="127.0.0.1", port=free_port(), tls_context=context, require_starttls=True,
                         authenticator=catcher.login, auth_required=True)  # fmt: skip
