"""The step: settings, then the outbox through one SMTP session.

Reads, writes, again: see the package.
"""

from __future__ import annotations

import json
import logging
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from jobs._people.database import Database, DatabaseAway, DatabaseRefused
from jobs.send_mail import outbox
from jobs.send_mail.compose import compose
from jobs.send_mail.post import Server, send, session
from tidegate.step import BadInput, BadSettings, Input, Result, Run, Secret, param, secret, setting

if TYPE_CHECKING:
    import psycopg

    from tidegate.step import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What send_mail is told."""

    run: Run
    """The run a failure mail is about."""
    host: str = setting("SMTP_HOST", at_least=1, at_most=255)
    """The SMTP server's name."""
    recipients: list[str] = param(variable="MAIL_RECIPIENTS", at_least=1, at_most=100)
    """Who gets the mail."""
    kind: str = param("success", choices=("success", "failure"))
    """"success" sends what dedup_people put into the outbox; "failure" (trigger rule one_failed) tells of this run."""
    report: Input | None = None
    """The report of dedup_people, which names the batch whose mail must be out before this step is done."""
    reason: str = param("", at_most=2000)
    """For kind "failure": what is known of it, such as the names of the failed tasks."""
    sender: str = param("tidegate@tidegate.invalid", variable="MAIL_SENDER", at_least=3, at_most=200)
    """The From address; what stands behind its @ ends the Message-ID of a failure mail."""
    port: int = param(587, variable="SMTP_PORT", at_least=1, at_most=65535)
    """The SMTP server's port: 587 for starttls, 465 for tls."""
    security: str = param("starttls", variable="SMTP_SECURITY", choices=("starttls", "tls", "none"))
    """How the session is encrypted; "none" only for a catcher of your own, and it sends no login."""
    database: Secret = secret("PEOPLE_DATABASE_URL")
    """postgresql://user:password@host/database of the people's own server."""
    username: Secret | None = secret("SMTP_USERNAME", optional=True)
    """Login; without it none is tried."""
    password: Secret | None = secret("SMTP_PASSWORD", optional=True)
    """Password of the login."""
    authority: Secret | None = secret("SMTP_CA", optional=True)
    """PEM of the authority that signed the server's certificate, where the system does not know it."""

    def __post_init__(self) -> None:
        """Addresses are one line each, and a login is never sent in the clear."""
        bad = [each for each in [*self.recipients, self.sender] if "@" not in each or any(c in each for c in "\r\n,")]
        faults = [f"$TIDEGATE_PARAMS has the address {each!r}; want name@domain" for each in bad]
        if self.username and self.security == "none":
            faults.append("$TIDEGATE_PARAMS.security is none, but $SMTP_USERNAME is set; want starttls or tls")
        if faults:
            raise BadSettings(*faults)

    @property
    def server(self) -> Server:
        """Where mail goes."""
        return Server(
            host=self.host,
            port=self.port,
            security=self.security,
            username=self.username.reveal() if self.username else "",
            password=self.password.reveal() if self.password else "",
            authority=self.authority.reveal() if self.authority else "",
        )

    @property
    def domain(self) -> str:
        """What ends a Message-ID."""
        return self.sender.rpartition("@")[2].rstrip(">")


def run(settings: Settings, store: Store) -> Result:
    """Send what is to be sent."""
    own = _batch(settings, store)
    with closing(Database(settings.database.reveal())) as base:
        try:
            sent = base.retried(partial(_send_all, settings, own))
        except (DatabaseAway, DatabaseRefused) as error:
            if settings.kind != "failure":
                raise
            sent = _without_database(settings, str(error))
    again = "" if sent else " (it was sent before)"
    mails = "1 mail" if len(sent) == 1 else f"{len(sent)} mails"
    return Result(metrics={"sent": len(sent)}, summary=f"{mails} sent{again}")


def _batch(settings: Settings, store: Store) -> UUID | None:
    """The batch that the report names."""
    if settings.report is None:
        return None
    try:
        return UUID(json.loads(store.get(settings.report))["batch_id"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{settings.report} is no report of dedup_people: {error}", url=settings.report) from None


def _send_all(settings: Settings, batch: UUID | None, connection: psycopg.Connection) -> list[str]:
    own = _own(settings, batch, connection)
    if not connection.execute("select 1 from people.outbox where sent_at is null limit 1").fetchone():
        return []
    with session(settings.server) as smtp:
        post = outbox.Post(partial(send, smtp), settings.sender, settings.recipients)
        return (outbox.send_own(connection, own, post) if own else []) + outbox.send_pending(connection, post)


def _own(settings: Settings, batch: UUID | None, connection: psycopg.Connection) -> str:
    """The Message-ID that must be out when this step is done; a failure's row is made here."""
    if settings.kind == "failure":
        return outbox.put_failure(connection, _failed(settings), _payload(settings), domain=settings.domain)
    if batch is None:
        return ""
    row = connection.execute(
        "select message_id from people.outbox where batch_id = %s and kind = 'success'", [batch]
    ).fetchone()
    if row is None:
        raise BadInput(f"batch {batch} has no mail in the outbox; is $PEOPLE_DATABASE_URL dedup_people's?")
    return str(row[0])


def _failed(settings: Settings) -> UUID:
    return outbox.failure_id(settings.run.dag_id, settings.run.run_id)


def _payload(settings: Settings) -> dict[str, Any]:
    told = {name: asdict(settings.run)[name] for name in ("dag_id", "run_id", "logical_date")}
    return told | {"reason": settings.reason}


def _without_database(settings: Settings, why: str) -> list[str]:
    """A failure is told even when the database is what failed; the Message-ID is the same as ever."""
    log.warning("no outbox, the mail goes out without: %s", why)
    known_as = outbox.message_id(_failed(settings), "failure", domain=settings.domain)
    payload = _payload(settings) | {"reason": "; ".join(filter(None, [settings.reason, why]))}
    with session(settings.server) as smtp:
        send(smtp, compose("failure", payload, message_id=known_as, sender=settings.sender,
                           recipients=settings.recipients))  # fmt: skip
    return [known_as]
