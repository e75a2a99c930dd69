"""One SMTP session, encrypted and logged in.

Reads: host, port, how to encrypt, login. Writes: mails. Again: each call sends.
"""

from __future__ import annotations

import smtplib
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.step import AccessDenied, BadInput, TryAgain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

_SECONDS = 30
_FOR_GOOD = 500
"""SMTP answers from 500 on are final."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where mail goes, and how."""

    host: str
    port: int
    security: str
    """"starttls", "tls" or "none"."""
    username: str = ""
    password: str = ""
    authority: str = ""
    """PEM of a certificate authority of one's own; empty for the system's."""


@contextmanager
def session(server: Server) -> Iterator[smtplib.SMTP]:
    """A session that is ready to send; TryAgain when the server is away, BadInput when it refuses for good."""
    try:
        with _connected(server) as smtp:
            if server.username:
                smtp.login(server.username, server.password)
            yield smtp
    except ssl.SSLCertVerificationError as error:
        raise BadInput(f"$SMTP_HOST {server.host} shows a certificate that is not trusted: {error.verify_message}; "
                       "set $SMTP_CA to its authority") from None  # fmt: skip
    except smtplib.SMTPAuthenticationError:
        raise AccessDenied(f"{server.host} refused $SMTP_USERNAME and $SMTP_PASSWORD") from None
    except smtplib.SMTPNotSupportedError as error:
        raise BadInput(f"{server.host} does not do what is asked: {error}; correct $TIDEGATE_PARAMS.security") from None
    except smtplib.SMTPResponseException as error:
        raise _answered(server, error.smtp_code, error.smtp_error) from None
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        raise _answered(server, code, text) from None
    except (smtplib.SMTPException, OSError) as error:
        raise TryAgain(f"no mail through {server.host}:{server.port}: {error}") from error


def _connected(server: Server) -> smtplib.SMTP:
    context = ssl.create_default_context(cadata=server.authority or None)
    if server.security == "tls":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=_SECONDS, context=context)
    smtp = smtplib.SMTP(server.host, server.port, timeout=_SECONDS)
    if server.security == "starttls":
        smtp.starttls(context=context)
    return smtp


def _answered(server: Server, code: int, text: bytes | str) -> Exception:
    said = text.decode(errors="replace") if isinstance(text, bytes) else text
    kind = BadInput if code >= _FOR_GOOD else TryAgain
    return kind(f"{server.host} answered {code} {said}")


def send(smtp: smtplib.SMTP, message: EmailMessage) -> None:
    """Send one mail; all recipients or none."""
    refused = smtp.send_message(message)
    if refused:
        raise smtplib.SMTPRecipientsRefused(refused)
