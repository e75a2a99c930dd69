"""Calls of web services end in time, never take more than they may, try again when it can help, and keep secrets."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.jobs.scripted import Answer, as_json, scripted
from tests.ports import free_port
from tidegate.step import BadInput, Secret, TryAgain
from tidegate.step.web import Call, Limits, call, is_json, public

GOOD = as_json({"x": 1})
QUICK = Limits(timeout=2, tries=3)
pytestmark = pytest.mark.usefixtures("slept")


def test_an_answer_is_whole_with_its_status_and_headers() -> None:
    with scripted(as_json({"x": 1}, status=201)) as service:
        reply = call(Call(url=f"{service.url}?a=1", query={"key": Secret("a b&c")}), QUICK)
    assert (reply.status, reply.ok, reply.body) == (201, True, b'{"x": 1}')
    assert reply.header("content-TYPE") == "application/json"
    assert service.asked[0].path == "/api?a=1&key=a+b%26c"


@pytest.mark.parametrize(
    "fault",
    [
        Answer(status=429),
        Answer(status=500),
        Answer(status=599),
        Answer(body=b"x" * 100, how="torn"),
        Answer(body=b"x" * 100, how="chunked"),
        Answer(how="lose"),
    ],
    ids=lambda fault: f"{fault.status} {fault.how}",
)
def test_what_may_pass_is_tried_again_and_not_for_ever(fault: Answer) -> None:
    with scripted(fault, fault, GOOD) as service:
        assert call(Call(url=service.url), QUICK).body == GOOD.body
        assert len(service.asked) == 3
    with scripted(fault) as service, pytest.raises(TryAgain, match=f"GET {service.url}: tried 3 times"):
        call(Call(url=service.url), QUICK)
    assert len(service.asked) == 3


@pytest.mark.parametrize("status", [200, 204, 400, 401, 404, 409])
def test_other_answers_are_the_callers(status: int) -> None:
    with scripted(Answer(status=status)) as service:
        assert call(Call(url=service.url), QUICK).status == status
    assert len(service.asked) == 1


def test_half_of_a_json_is_no_answer_where_nothing_announced_its_length() -> None:
    cut = Answer(body=b'{"x": ', headers={"Content-Type": "application/json"})
    with scripted(cut, GOOD) as service:
        assert call(Call(url=service.url), QUICK, is_whole=is_json).body == GOOD.body
    with scripted(cut) as service, pytest.raises(TryAgain, match="200 with 6 bytes that are no whole answer"):
        call(Call(url=service.url), QUICK, is_whole=is_json)


def test_a_service_that_drips_is_cut_off_in_time() -> None:
    begun = time.monotonic()
    with scripted(Answer(body=b"x" * 200, how="drip")) as service:
        with pytest.raises(TryAgain, match=r"no whole answer within 0\.3 s"):
            call(Call(url=service.url), Limits(timeout=0.3, tries=1))
        assert time.monotonic() - begun < 8  # all of it takes ten


def test_retry_after_is_obeyed_as_a_number_and_as_a_date(slept: list[float]) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    waits = [Answer(status=429, headers={"Retry-After": "7"}), Answer(status=503, headers={"Retry-After": soon})]
    with scripted(*waits, GOOD) as service:
        call(Call(url=service.url), Limits(timeout=2, tries=3, longest_wait=3600))
    assert slept[0] == 7
    assert 3000 < slept[1] <= 3600


@pytest.mark.parametrize("text", ["soon", "-5", ""])
def test_a_retry_after_that_is_none_is_passed_over(slept: list[float], text: str) -> None:
    with scripted(Answer(status=429, headers={"Retry-After": text}), GOOD) as service:
        call(Call(url=service.url), QUICK)
    assert len(slept) == 1
    assert slept[0] <= 0.5


def test_a_longer_wait_than_allowed_is_left_to_others(slept: list[float]) -> None:
    with scripted(Answer(status=429, headers={"Retry-After": "61"})) as service:
        with pytest.raises(TryAgain, match="a wait of 61 s was asked for, more than the 60 s"):
            call(Call(url=service.url), QUICK)
        assert (len(service.asked), slept) == (1, [])


def test_an_answer_that_is_too_large_is_refused_without_reading_it_all() -> None:
    limits = Limits(timeout=5, tries=3, max_bytes=1000)
    with scripted(Answer(body=b"x" * 1000)) as service:
        assert len(call(Call(url=service.url), limits).body) == 1000
    with scripted(Answer(body=b"x" * 10_000_000)) as service:
        with pytest.raises(BadInput, match="answered with more than 1000 bytes"):
            call(Call(url=service.url), limits)
        assert len(service.asked) == 1


def test_a_post_whose_answer_was_lost_is_not_sent_twice() -> None:
    with scripted(Answer(how="lose")) as service:
        with pytest.raises(TryAgain, match="may have been carried out"):
            call(Call(url=service.url, method="POST", body=b"{}"), QUICK)
        assert len(service.asked) == 1
    with scripted(Answer(status=503), GOOD) as service:
        assert call(Call(url=service.url, method="POST", body=b"{}"), QUICK).ok
    with pytest.raises(TryAgain, match="tried 3 times; the last time: ConnectionRefused"):
        call(Call(url=f"http://127.0.0.1:{free_port()}/", method="POST"), QUICK)


def test_on_the_same_host_it_is_followed() -> None:
    with scripted(Answer(status=302, headers={"Location": "/there?x=1"}), GOOD) as service:
        assert call(Call(url=service.url), QUICK).body == GOOD.body
        assert [one.path for one in service.asked] == ["/api", "/there?x=1"]
    with scripted(Answer(status=307, headers={"Location": "/there"}), GOOD) as service:
        assert call(Call(url=service.url, method="POST", body=b"sent"), QUICK).ok
        assert [(one.method, one.body) for one in service.asked] == [("POST", b"sent")] * 2


@pytest.mark.parametrize(
    "location", ["http://other.example/x", "//other.example/x", "http://127.0.0.1:1/x", "ftp://127.0.0.1/x"]
)
def test_another_host_is_not_called(location: str) -> None:
    with scripted(Answer(status=302, headers={"Location": location})) as service:
        with pytest.raises(BadInput, match=r"sends to another host, .*, which is not called") as caught:
            call(Call(url=service.url, headers={"Authorization": Secret("Bearer hush-hush")}), QUICK)
        assert "hush-hush" not in str(caught.value)


def test_a_circle_ends() -> None:
    with scripted(Answer(status=302, headers={"Location": "/api"})) as service:
        with pytest.raises(BadInput, match="more than 3 times"):
            call(Call(url=service.url), QUICK)
        assert len(service.asked) == 4
    found = Answer(status=302, headers={"Location": "/x"})
    with scripted(found) as service, pytest.raises(BadInput, match="sends a POST elsewhere as a GET"):
        call(Call(url=service.url, method="POST"), QUICK)


@pytest.mark.parametrize("url", ["", "api.example/x", "file:///etc/passwd", "http://", "http://host:port/x"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadInput):
        call(Call(url=url), QUICK)


def test_nothing_secret_is_shown() -> None:
    request = Call(url="http://user:pass@host/x?token=t#f", query={"key": Secret("hush-hush")})
    assert str(request) == "GET http://host/x"
    assert "hush-hush" not in repr(request)
    assert public(request.url) == "http://host/x"
