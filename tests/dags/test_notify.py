"""People are told of a failure once: in the log always, elsewhere where they asked for it; nothing secret is shown."""

from __future__ import annotations

import http.server
import json
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tidegate.airflow.identity import Identity, pod_name
from tidegate.airflow.notify import EMAIL_VARIABLE, WEBHOOK_VARIABLE, Notify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context

TI = {"dag_id": "petrol", "run_id": "r1", "task_id": "train_model", "map_index": -1, "try_number": 3, "id": "0190"}


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EMAIL_VARIABLE, raising=False)
    monkeypatch.delenv(WEBHOOK_VARIABLE, raising=False)


@pytest.fixture
def webhook() -> Iterator[SimpleNamespace]:
    """A server that takes what is posted; `status` is what it answers."""
    taken = SimpleNamespace(bodies=[], status=200, url="")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(taken.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its signature
            """Quiet."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    taken.url = f"http://127.0.0.1:{server.server_port}/token-of-the-hook"
    yield taken
    server.shutdown()
    server.server_close()


def failure(**changes: object) -> Context:
    context = {
        "ti": SimpleNamespace(**TI, max_tries=2),
        "task": SimpleNamespace(step="train_model"),
        "dag_run": SimpleNamespace(logical_date=None, run_after=SimpleNamespace(isoformat=lambda: "x")),
        "exception": RuntimeError("no column Target\nthere are: a, b"),
    }
    return {**context, **changes}


def test_the_log_names_task_run_try_pod_and_reason(capsys: pytest.CaptureFixture[str]) -> None:
    Notify().notify(failure())
    shown = capsys.readouterr().out
    run = Identity(**{key: value for key, value in TI.items() if key != "id"}, logical_date="x")
    for part in ("petrol.train_model failed", "r1", "3 of 3", "no column Target", "there are: a, b"):
        assert part in shown
    assert pod_name("train_model", run) in shown


def test_a_callback_that_airflow_gives_little_to_still_tells(capsys: pytest.CaptureFixture[str]) -> None:
    """In the DAG processor there is neither run nor exception."""
    Notify().notify({"ti": SimpleNamespace(**TI, max_tries=2)})
    assert "petrol.train_model failed" in capsys.readouterr().out


def test_a_step_that_ended_without_a_worker_tells_why(capsys: pytest.CaptureFixture[str]) -> None:
    """The triggerer left it as a value, for in the DAG processor there is no exception."""
    left = {"failure": {"kind": "bad_input", "message": "exit 2", "advice": "correct what the message names"}}
    pull = lambda *, task_ids, key, map_indexes: left[key] if (task_ids, map_indexes) == ("train_model", -1) else None  # noqa: E731
    Notify().notify(
        {"ti": SimpleNamespace(**TI, max_tries=0, xcom_pull=pull), "task": SimpleNamespace(step="train_model")}
    )
    shown = capsys.readouterr().out
    for part in ("bad_input: exit 2", "correct what the message names", "try    3\n", "pod    train-model-"):
        assert part in shown


def test_a_webhook_gets_the_same_text(webhook: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WEBHOOK_VARIABLE, webhook.url)
    Notify().notify(failure())
    assert len(webhook.bodies) == 1
    assert "petrol.train_model failed" in webhook.bodies[0]["text"]
    assert "no column Target" in webhook.bodies[0]["text"]


def test_a_webhook_that_refuses_fails_nothing_and_its_address_stays_secret(
    webhook: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(WEBHOOK_VARIABLE, webhook.url)
    webhook.status = 500
    Notify().notify(failure())
    shown = capsys.readouterr().out
    assert "webhook could not be sent: HTTPError" in shown
    assert "token-of-the-hook" not in shown


def test_only_http_is_posted_to(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(WEBHOOK_VARIABLE, "file:///etc/passwd")
    Notify().notify(failure())
    assert "webhook could not be sent: ValueError" in capsys.readouterr().out


def test_mail_goes_to_every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []

    class Mailer:
        def __init__(self, **arguments: object) -> None:
            sent.append(arguments)

        def notify(self, context: Context) -> None:
            sent[-1]["of"] = context["ti"].task_id

    monkeypatch.setattr("airflow.providers.smtp.notifications.smtp.SmtpNotifier", Mailer)
    monkeypatch.setenv(EMAIL_VARIABLE, "a@example.org, b@example.org")
    Notify().notify(failure(exception=RuntimeError("<b>")))
    assert sent[0]["to"] == ["a@example.org", "b@example.org"]
    assert sent[0]["of"] == "train_model"
    assert "&lt;b&gt;" in sent[0]["html_content"]
