from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from jobs.send_mail import step
from jobs.send_mail.step import Settings, run
from tests.jobs.people.batches import dedup, query, raw_people, write
from tests.jobs.people.catcher import Catcher, Running, certificate
from tidegate.step import AccessDenied, BadInput, BadSettings, Input, Result, Run, Secret, TryAgain
from tidegate.step.stores import Stores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Mail = Callable[..., Result]

RUN = Run(dag_id="people", run_id="scheduled__2026", logical_date="2026-01-01T12:00:00+00:00")


@pytest.fixture
def catcher() -> Catcher:
    return Catcher()


@pytest.fixture
def mail(catcher: Catcher, tmp_path: Path, database: str) -> Iterator[Mail]:
    key, cert = certificate(tmp_path)
    running = Running(catcher, key, cert)
    running.start()

    def send(**values: object) -> Result:
        given = {
            "run": RUN, "recipients": ["ops@example.org"], "port": running.port, "database": Secret(database),
            "host": "127.0.0.1", "username": Secret("mailer"), "password": Secret("letmein"),
            "authority": Secret(cert.read_text()), "sender": "tidegate@example.org",
        }  # fmt: skip
        return run(Settings(**(given | values)), Stores())

    yield send
    running.stop()


@pytest.fixture
def report(tmp_path: Path, database: str) -> Input:
    dedup(write(tmp_path / "a.jsonl", raw_people()), database)
    return Input((tmp_path / "out-a" / "report.json").as_uri())


def test_a_batch_is_told_once_encrypted_with_text_and_html(
    mail: Mail, catcher: Catcher, report: Input, database: str
) -> None:
    assert mail(report=report).metrics == {"sent": 1}
    assert mail(report=report).metrics == {"sent": 0}
    (message,), ((batch, counts),) = (
        catcher.messages,
        query(database, "select batch_id::text, counts from people.batch"),
    )
    assert catcher.encrypted == [True]
    assert message["Message-ID"] == f"<{batch}.success@tidegate.invalid>"
    for kind in ("plain", "html"):
        body = message.get_body((kind,)).get_content()
        assert f"{counts['new']:,} new" in body
        assert all(title in body for title in ("To review", "Best scores", "Worst scores"))


def test_a_lost_answer_sends_again_under_the_same_message_id(mail: Mail, catcher: Catcher, report: Input) -> None:
    catcher.answers = ["drop"]
    with pytest.raises(TryAgain):
        mail(report=report)
    mail(report=report)
    assert len(catcher.messages) == 2
    assert len({message["Message-ID"] for message in catcher.messages}) == 1


def test_a_crash_before_the_note_sends_again_and_never_forgets(
    mail: Mail, catcher: Catcher, report: Input, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send_and_die(*args: object) -> None:
        real(*args)
        raise KeyboardInterrupt

    real = step.send
    monkeypatch.setattr(step, "send", send_and_die)
    with pytest.raises(KeyboardInterrupt):
        mail(report=report)
    monkeypatch.setattr(step, "send", real)
    assert mail(report=report).metrics == {"sent": 1}
    assert len({message["Message-ID"] for message in catcher.messages}) == 1


def test_a_failed_run_is_told_once_even_if_tried_again(mail: Mail, catcher: Catcher, report: Input) -> None:
    mail(report=report)
    mail(kind="failure", reason="make_people <b>out of memory</b>")
    mail(kind="failure", reason="another word for it")
    message = catcher.messages[1]
    assert len(catcher.messages) == 2
    assert ".failure@example.org" in message["Message-ID"]
    assert "scheduled__2026" in message.get_body(("plain",)).get_content()
    assert "&lt;b&gt;" in message.get_body(("html",)).get_content()


def test_a_failure_is_told_even_when_the_database_is_what_failed(mail: Mail, catcher: Catcher) -> None:
    away = Secret("postgresql://people:secretword@127.0.0.1:9/people")
    mail(kind="failure", database=away)
    mail(kind="failure", database=away)
    body = catcher.messages[0].get_body(("plain",)).get_content()
    assert "cannot be reached" in body
    assert "secretword" not in body
    assert len({message["Message-ID"] for message in catcher.messages}) == 1


def test_mail_that_waits_is_sent_along(
    mail: Mail, catcher: Catcher, report: Input, tmp_path: Path, database: str
) -> None:
    dedup(write(tmp_path / "b.jsonl", raw_people("b")), database)
    assert mail(report=report).metrics == {"sent": 2}
    assert len({message["Message-ID"] for message in catcher.messages}) == 2


def test_a_row_that_another_is_sending_is_waited_for(
    mail: Mail, catcher: Catcher, report: Input, database: str
) -> None:
    with psycopg.connect(database) as other:
        other.execute("select id from people.outbox for update")
        assert mail().metrics == {"sent": 0}  # not ours: left to the other
        other.rollback()
    assert mail(report=report).metrics == {"sent": 1}


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"password": Secret("wrong")}, AccessDenied, "SMTP_PASSWORD"),
        ({"authority": None}, BadInput, "SMTP_CA"),
        ({"port": 9}, TryAgain, "127.0.0.1:9"),
    ],
)
def test_what_cannot_be_sent_says_why(
    mail: Mail, report: Input, change: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as told:
        mail(report=report, **change)
    assert "letmein" not in str(told.value)
    assert mail(report=report).metrics == {"sent": 1}


@pytest.mark.parametrize(("answer", "error"), [("451 later", TryAgain), ("550 never", BadInput)])
def test_an_answer_that_is_final_is_not_tried_again(
    mail: Mail, catcher: Catcher, report: Input, answer: str, error: type[Exception]
) -> None:
    catcher.answers = [answer]
    with pytest.raises(error, match=answer[:3]):
        mail(report=report)


def test_addresses_cannot_smuggle_headers_and_a_login_is_not_sent_in_the_clear() -> None:
    with pytest.raises(BadSettings) as told:
        Settings(run=RUN, recipients=["a@b\nBcc: c@d"], database=Secret("x"), host="h", username=Secret("u"),
                 security="none")  # fmt: skip
    assert len(told.value.faults) == 2
