"""A mail out of an outbox row: a text part and an HTML part that say the same.

Reads: kind, payload, addresses. Writes: an `EmailMessage`. Again: the same mail but for its date.

Names and addresses come from strangers: they are escaped in HTML and cut to one line in text.
"""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from typing import Any

Payload = dict[str, Any]
Row = dict[str, Any]

_LONGEST = 60
_COLUMNS = ("record", "person", "score", "fields")


def compose(kind: str, payload: Payload, *, message_id: str, sender: str, recipients: list[str]) -> EmailMessage:
    """The whole mail."""
    title, lines = _success(payload) if kind == "success" else _failure(payload)
    message = EmailMessage(policy=SMTP)
    message["Subject"] = title
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    tables = _tables(payload) if kind == "success" else []
    message.set_content(_text(title, lines, tables))
    message.add_alternative(_html(title, lines, tables), subtype="html")
    return message


def _success(payload: Payload) -> tuple[str, list[str]]:
    counts = payload["counts"]
    title = f"People: {counts['new']:,} new, {counts['match']:,} known, {counts['review']:,} to review"
    words = {
        "inserted": "stored now", "match": "known already", "review": "wait for a person",
        "rejected": "rejected, see rejected.jsonl",
    }  # fmt: skip
    return title, [f"{counts[name]:,} {text}" for name, text in words.items()]


def _failure(payload: Payload) -> tuple[str, list[str]]:
    title = f"People: {payload.get('dag_id') or 'the run'} failed"
    lines = [f"Run: {_cut(payload.get('run_id', ''))}", f"Logical date: {_cut(payload.get('logical_date', ''))}"]
    if payload.get("reason"):
        lines.append(f"What failed: {_cut(payload['reason'])}")
    return title, [*lines, "Nothing is lost: run the failed task again, and what was stored stays stored once."]


def _tables(payload: Payload) -> list[tuple[str, list[list[str]]]]:
    titles = {"review": "To review", "best": "Best scores", "worst": "Worst scores taken for a match"}
    found = [(title, [_cells(row) for row in payload.get(name, [])]) for name, title in titles.items()]
    return [(title, rows) for title, rows in found if rows]


def _cells(row: Row) -> list[str]:
    scores = ", ".join(f"{name} {each['jaro_winkler']:.2f}" for name, each in row.get("fields", {}).items())
    record = row.get("record_id") or f"row {row['row']}"
    person = f"{row.get('person') or '?'} (#{row.get('person_id')})"
    return [_cut(record), _cut(person), f"{row['score']:.4f}", scores]


def _cut(value: object) -> str:
    """One line of printable text; direction marks cannot turn the rest of the line around."""
    text = "".join(c if c.isprintable() else " " for c in str(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\u2026"


def _text(title: str, lines: list[str], tables: list[tuple[str, list[list[str]]]]) -> str:
    blocks = ["\n".join([title, "", *lines])]
    blocks += ["\n".join([name, *("  " + " | ".join(row) for row in rows)]) for name, rows in tables]
    return "\n\n".join(blocks) + "\n"


def _html(title: str, lines: list[str], tables: list[tuple[str, list[list[str]]]]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    parts = [f"<h2>{escape(title)}</h2><ul>{items}</ul>"]
    for name, rows in tables:
        head = "".join(f"<th align='left'>{column}</th>" for column in _COLUMNS)
        body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
        parts.append(f"<h3>{escape(name)}</h3><table cellpadding='4'><tr>{head}</tr>{body}</table>")
    return f"<!doctype html><html><body style='font-family:sans-serif'>{''.join(parts)}</body></html>"
