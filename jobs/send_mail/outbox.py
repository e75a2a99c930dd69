"""The outbox: what is to be sent, row by row, each locked while it is sent.

Reads and writes: `people.outbox`. Again: a row that has `sent_at` is left alone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

from jobs.send_mail.compose import compose

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage

    import psycopg

    Send = Callable[[EmailMessage], None]

_NEXT = """select id, kind, message_id, payload from people.outbox
where sent_at is null and id > %s order by id limit 1 for update skip locked"""
_OWN = """select id, kind, message_id, payload from people.outbox
where sent_at is null and message_id = %s for update"""


class Post(NamedTuple):
    """How a mail goes out, from whom and to whom."""

    send: Send
    sender: str
    recipients: list[str]


def failure_id(dag_id: str, run_id: str) -> UUID:
    """What a failed run's mail is known by: the same for every retry of that run."""
    return uuid5(NAMESPACE_URL, f"tidegate:{dag_id}/{run_id}")


def message_id(batch: UUID, kind: str, *, domain: str) -> str:
    """One Message-ID a batch and kind."""
    return f"<{batch}.{kind}@{domain}>"


def put_failure(connection: psycopg.Connection, batch: UUID, payload: dict[str, Any], *, domain: str) -> str:
    """The failure mail's row, once; its Message-ID."""
    values = [batch, message_id(batch, "failure", domain=domain), json.dumps(payload)]
    connection.execute(
        "insert into people.outbox (batch_id, kind, message_id, payload) values (%s, 'failure', %s, %s) "
        "on conflict (batch_id, kind) do nothing",
        values,
    )
    return str(values[1])


def send_pending(connection: psycopg.Connection, post: Post) -> list[str]:
    """Send what nobody else is sending; the Message-IDs."""
    sent: list[str] = []
    last = 0
    while True:
        with connection.transaction():
            row = connection.execute(_NEXT, [last]).fetchone()
            if row is None:
                return sent
            last = row[0]
            sent.append(_send(connection, row, post))


def send_own(connection: psycopg.Connection, own: str, post: Post) -> list[str]:
    """Send one mail; waits where another is sending it, and sends it if that fails."""
    with connection.transaction():
        row = connection.execute(_OWN, [own]).fetchone()
        return [_send(connection, row, post)] if row else []


def _send(connection: psycopg.Connection, row: tuple[Any, ...], post: Post) -> str:
    number, kind, known_as, payload = row
    post.send(compose(kind, payload, message_id=known_as, sender=post.sender, recipients=post.recipients))
    connection.execute("update people.outbox set sent_at = clock_timestamp() where id = %s", [number])
    return str(known_as)
