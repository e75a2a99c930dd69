"""call_service: calls whom the values name, and keeps the answer they promised, byte for byte."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from jobs import call_service
from tests.jobs.scripted import Answer, Script, as_json, scripted
from tests.jobs.steps import environment, fork_step, run_step
from tests.jobs.weather import MINUTE
from tidegate.step import AccessDenied, BadInput, BadSettings, Result, Run, Secret, Secrets, StepError, TryAgain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.jobs.conftest import Place

TOKEN = "token/of+the=service"
GOOD = as_json({"b": 1, "a": [1, 2]})


@pytest.fixture(autouse=True)
def _no_long_waits() -> Iterator[None]:
    real = time.sleep
    with patch("tidegate.step.web.time.sleep", lambda seconds: real(min(seconds, 0.01))):
        yield


def run(place: Place, script: Script, /, *, entry: dict[str, object] | None = None, **changes: Any) -> Result:
    listed = {"oracle": {"url": script.url, **(entry or {})}, "other": {"url": "http://127.0.0.1:9/"}}
    keys = Secrets(SERVICE_ORACLE_TOKEN=Secret(TOKEN), SERVICE_ORACLE_KEY=Secret(TOKEN))
    given = {"service": "oracle", "services": listed, "keys": keys, "logical_date": MINUTE, "run": Run(run_id="r")}
    return call_service.run(call_service.Settings(**(given | {"output": place.root} | changes)), place.store)


def there(place: Place) -> list[str]:
    return [stat.url.removeprefix(f"{place.root}/") for stat in place.store.list(place.root)]


def test_the_answer_is_kept_byte_for_byte_in_every_store(place: Place) -> None:
    with scripted(GOOD) as service:
        result = run(place, service, body={"question": "ü?"})
    assert place.store.get(place.root / "reply.json") == GOOD.body
    (output,) = result.outputs
    assert (output.name, output.etag) == ("reply", place.store.stat(output.url).etag)
    (asked,) = service.asked
    assert (asked.method, json.loads(asked.body)) == ("POST", {"question": "ü?"})
    assert asked.headers["Content-Type"] == "application/json"
    assert "Authorization" not in asked.headers


def test_a_name_may_have_the_runs_date(file_place: Place) -> None:
    with scripted(GOOD) as service:
        run(file_place, service, file="%Y/%m/%d/%H/%M/weather_data.json")
    assert there(file_place) == ["2026/01/31/13/07/weather_data.json"]


@pytest.mark.parametrize("file", ["../x", "a//b", "/x", "a/", ".", "%s", "%Y%", "%%"])
def test_a_name_that_leads_elsewhere_is_refused_before_anybody_is_called(file_place: Place, file: str) -> None:
    with scripted(GOOD) as service, pytest.raises(BadSettings, match=r"\$TIDEGATE_PARAMS\.file is"):
        run(file_place, service, file=file)
    assert service.asked == []


def test_a_name_that_is_not_listed_is_refused(file_place: Place) -> None:
    with (
        scripted(GOOD) as service,
        pytest.raises(BadInput, match=r"'nobody' is not listed .*oracle, other.*; add serv"),
    ):
        run(file_place, service, service="nobody")


def test_nobody_may_list_a_service_but_the_platform(tmp_path: Path) -> None:
    params = {"service": "mine", "services": {"mine": {"url": "http://127.0.0.1:9/"}}}
    done = run_step("call_service", environment(tmp_path, params=params))
    assert done.code == 2
    assert "$TIDEGATE_PARAMS has 'services', want body, existing, file, service" in done.error


AUTH: dict[str, tuple[dict[str, object], str, str]] = {
    "bearer": ({"auth": "bearer"}, "Authorization", f"Bearer {TOKEN}"),
    "key": ({"auth": "api_key"}, "X-API-Key", TOKEN),
    "key by name": ({"auth": "api_key", "key_name": "Ocp-Key"}, "Ocp-Key", TOKEN),
}


@pytest.mark.parametrize("name", AUTH)
def test_a_token_or_a_key_is_shown_as_the_service_wants_it(file_place: Place, name: str) -> None:
    entry, header, value = AUTH[name]
    with scripted(GOOD) as service:
        result = run(file_place, service, entry=entry)
    assert service.asked[0].headers[header] == value
    assert TOKEN not in repr(result)


def test_a_key_may_stand_in_the_query(file_place: Place) -> None:
    with scripted(GOOD) as service:
        run(file_place, service, entry={"method": "GET", "auth": "api_key", "key_in": "query", "key_name": "appid"})
    assert service.asked[0].path == "/api?appid=token%2Fof%2Bthe%3Dservice"
    assert service.asked[0].body == b""


@pytest.mark.parametrize(("auth", "variable"), [("bearer", "SERVICE_ORACLE_TOKEN"), ("api_key", "SERVICE_ORACLE_KEY")])
def test_a_secret_that_is_not_there_is_named(file_place: Place, auth: str, variable: str) -> None:
    with scripted(GOOD) as service, pytest.raises(BadSettings, match=rf"\${variable} is not set; put it into the Sec"):
        run(file_place, service, entry={"auth": auth}, keys=Secrets())


REFUSALS: dict[str, tuple[Answer, dict[str, object], type[StepError], str]] = {
    "401": (Answer(status=401), {"auth": "bearer"}, AccessDenied, r"401 .*; correct \$SERVICE_ORACLE_TOKEN"),
    "403": (Answer(status=403), {}, AccessDenied, "403 .*; set its auth"),
    "404": (Answer(status=404, body=b"no such thing"), {}, BadInput, "said 404 Not Found: 'no such thing'"),
    "too large": (Answer(body=b'"' + b"x" * 200 + b'"'), {"max_bytes": 100}, BadInput, "more than 100 bytes"),
    "no JSON": (Answer(body=b"<html>"), {}, StepError, "promised JSON and sent 6 bytes .*<html>"),
    "no JSON though it says so": (
        Answer(body=b"{", headers={"Content-Type": "application/problem+json"}),
        {"reply": "any"},
        StepError,
        "promised JSON",
    ),
    "elsewhere": (
        Answer(status=302, headers={"Location": "http://other.example/"}),
        {"method": "GET"},
        BadInput,
        "another host, http://other.example",
    ),
    "throttling": (Answer(status=429, headers={"Retry-After": "1"}), {"tries": 2}, TryAgain, "tried 2 times.*429"),
    "broken": (Answer(status=500), {"tries": 2}, TryAgain, "tried 2 times.*500"),
    "slow": (Answer(body=b"x" * 100, how="drip"), {"timeout": 0.2}, TryAgain, "no whole answer within"),
    "torn": (Answer(body=b"x" * 100, how="torn"), {}, TryAgain, "torn"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_was_not_promised_is_refused_and_nothing_is_written(file_place: Place, name: str) -> None:
    answer, entry, kind, words = REFUSALS[name]
    with scripted(answer) as service, pytest.raises(kind, match=words):
        run(file_place, service, entry=entry)
    assert there(file_place) == []
    with scripted(GOOD) as service:
        run(file_place, service)
    assert there(file_place) == ["reply.json"]


def test_anything_is_kept_where_no_json_is_promised(file_place: Place) -> None:
    with scripted(Answer(body=b"\x00\xff", headers={"Content-Type": "image/png"})) as service:
        run(file_place, service, entry={"reply": "any"}, file="picture.png")
    assert file_place.store.get(file_place.root / "picture.png") == b"\x00\xff"


def test_a_get_sends_no_body(file_place: Place) -> None:
    with scripted(GOOD) as service:
        run(file_place, service, entry={"method": "GET"})
        with pytest.raises(BadInput, match=r"a GET sends no body; set services\.oracle\.method to POST"):
            run(file_place, service, entry={"method": "GET"}, body={"x": 1})
    assert len(service.asked) == 1


def test_the_same_answer_keeps_its_version_and_another_takes_its_place(place: Place) -> None:
    with scripted(GOOD, GOOD, as_json({})) as service:
        first, second, third = (run(place, service).outputs[0] for _ in range(3))
    assert first == second
    assert first.etag != third.etag
    assert len({one.headers["Idempotency-Key"] for one in service.asked}) == 1


def test_an_answer_that_is_to_be_kept_is_not_asked_for_again(place: Place) -> None:
    with scripted(GOOD, as_json({})) as service:
        first = run(place, service, existing="keep")
        again = run(place, service, existing="keep")
    assert first.outputs == again.outputs
    assert len(service.asked) == 1


def test_an_answer_that_another_run_kept_meanwhile_stays(file_place: Place) -> None:
    with scripted(GOOD) as service:
        real = file_place.store.put

        def put(url: str, data: Any, **options: Any) -> Any:
            real(url, b"theirs")
            return real(url, data, **options)

        with patch.object(file_place.store, "put", put):
            result = run(file_place, service, existing="keep")
    assert "another run" in result.summary
    assert file_place.store.get(file_place.root / "reply.json") == b"theirs"


@pytest.mark.parametrize(
    "entry", [{}, {"url": 1}, {"url": "http://x", "methods": "GET"}, "http://x", {"url": "http://x", "auth": "basic"}]
)
def test_an_entry_that_cannot_be_used_is_named(file_place: Place, entry: Any) -> None:
    with scripted(GOOD) as service, pytest.raises(BadSettings, match=r"\$TIDEGATE_SERVICES\.broken"):
        run(file_place, service, service="broken", services={"broken": entry})


def test_no_secret_is_left_behind(tmp_path: Path) -> None:
    ends = []
    for answer in (GOOD, Answer(status=401, body=TOKEN.encode()), Answer(status=404, body=TOKEN.encode())):
        with scripted(answer) as service:
            listed = {"oracle": {"url": service.url, "auth": "bearer"}}
            more = {"TIDEGATE_SERVICES": json.dumps(listed), "SERVICE_ORACLE_TOKEN": TOKEN}
            ends.append(fork_step("call_service", environment(tmp_path, params={"service": "oracle"}) | more))
            assert service.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert [end.code for end in ends] == [0, 2, 2]
    texts = [end.out + end.error for end in ends] + [path.read_text() for path in tmp_path.rglob("*.json")]
    assert [text for text in texts if TOKEN in text] == []
