"""Tells by mail what became of a batch of people: one mail a batch and kind, delivered at least once.

Reads: the outbox (`people.outbox`) and, for kind "failure", the run it is about.
Writes: mails by SMTP with TLS and login; `sent_at` of what was accepted. Kind "failure" first writes its outbox row.
Again: what is sent stays sent. A kill between the server's answer and the note of it sends the same mail again, with
the same Message-ID, by which mail programs know it.
"""

from __future__ import annotations

from jobs.send_mail.step import Settings, run

__all__ = ["Settings", "run"]
