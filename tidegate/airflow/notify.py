"""Tells people that a task failed for good: always in the task's log, and by mail or webhook where one is set.

Reads: `$TIDEGATE_NOTIFY_EMAIL`, addresses with commas between them, sent through the connection `smtp_default`;
`$TIDEGATE_NOTIFY_WEBHOOK`, a URL that takes `{"text": ...}` as Slack, Teams and Mattermost do. Both come from a Secret
of Airflow's pods and are never logged. Unset, nothing is sent.
"""

from __future__ import annotations

import html
import json
import os
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from tidegate.airflow.identity import UNMAPPED, Identity, pod_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context

EMAIL_VARIABLE, WEBHOOK_VARIABLE = "TIDEGATE_NOTIFY_EMAIL", "TIDEGATE_NOTIFY_WEBHOOK"

WEBHOOK_SECONDS = 10
"""How long the webhook may take."""


class Notify(BaseNotifier):
    """For `on_failure_callback`; it is called once a task has no tries left."""

    def notify(self, context: Context) -> None:
        """Log the failure, then send it wherever it is wanted; what cannot be sent is logged and fails nothing."""
        title, text = _title(context), describe(context)
        self.log.error("%s\n%s", title, text)
        if addresses := os.environ.get(EMAIL_VARIABLE):
            self._try("mail", lambda: _mail(addresses, title, text, context))
        if url := os.environ.get(WEBHOOK_VARIABLE):
            self._try("webhook", lambda: _post(url, f"{title}\n{text}"))

    def _try(self, way: str, send: Callable[[], None]) -> None:
        try:
            send()
        except Exception as error:
            # Whatever it is, the other way must still be tried. Its text would show the webhook's address, a secret.
            self.log.warning("%s could not be sent: %s", way, type(error).__name__)
        else:
            self.log.info("%s sent", way)


def describe(context: Context) -> str:
    """What people need to look further, one `name  value` a line."""
    ti: Any = context["ti"]
    lines = {"run": ti.run_id, "try": _try(ti), "pod": _pod(context)}
    lines["reason"] = _reason(context).replace("\n", "\n         ")
    return "\n".join(f"  {name:<7}{value}" for name, value in lines.items() if value)


def _try(ti: Any) -> str:  # noqa: ANN401 - Airflow's task instance
    """Which of how many; a callback in the DAG processor is not told of how many."""
    return f"{ti.try_number} of {ti.max_tries + 1}" if ti.max_tries >= ti.try_number - 1 else str(ti.try_number)


def _reason(context: Context) -> str:
    """What went wrong: what a worker raised, or what the triggerer left; empty where that cannot be read."""
    if error := context.get("exception"):
        return str(error)
    ti: Any = context["ti"]
    with suppress(Exception):
        index = UNMAPPED if ti.map_index is None else ti.map_index
        if left := ti.xcom_pull(task_ids=ti.task_id, key="failure", map_indexes=index):
            return f"{left['kind']}: {left['message']}\n{left['advice']}"
    return ""


def _title(context: Context) -> str:
    ti = context["ti"]
    index = f"[{ti.map_index}]" if (ti.map_index or 0) > 0 else ""
    return f"{ti.dag_id}.{ti.task_id}{index} failed"


def _pod(context: Context) -> str:
    """Name of the first pod of the step's try; empty for a task that is no step."""
    ti: Any = context["ti"]
    step = getattr(context.get("task"), "step", "")
    index = UNMAPPED if ti.map_index is None else ti.map_index
    of = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": index}
    return pod_name(step, Identity(**of, try_number=ti.try_number, logical_date="")) if step else ""


def _mail(addresses: str, title: str, text: str, context: Context) -> None:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier  # noqa: PLC0415 - only where mail is wanted

    to = [address.strip() for address in addresses.split(",") if address.strip()]
    SmtpNotifier(to=to, subject=title, html_content=f"<pre>{html.escape(text)}</pre>").notify(context)


def _post(url: str, text: str) -> None:
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"${WEBHOOK_VARIABLE} is no http(s) URL")
    body = json.dumps({"text": text}).encode()
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})  # noqa: S310 - see above
    with urllib.request.urlopen(request, timeout=WEBHOOK_SECONDS):  # noqa: S310 - see above
        pass
