"""`fetch_weather serve`: the same bytes by HTTP, for those who show the token, in plain words when it cannot."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from jobs.fetch_weather import service
from tests.jobs.servers import ROOT, running
from tests.jobs.weather import KEY, WeatherApi, assert_whole
from tests.ports import free_port
from tidegate.step import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "token-of-the-service"
SHOWN = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def port(weather_api: WeatherApi) -> Iterator[int]:
    """A service in this process that tries once."""
    settings = service.Settings(
        api_url=weather_api.url,
        key=Secret(KEY),
        token=Secret(TOKEN),
        calls_per_minute=60_000,
        tries=1,
        port=0,
    )
    with service.server(settings) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield int(listening.server_address[1])
        listening.shutdown()
        thread.join()


def ask(
    port: int, body: object = None, *, method: str = "POST", path: str = "/weather", headers: dict[str, str] = SHOWN
) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        connection.request(method, path, body=sent, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        connection.close()


def said(body: bytes) -> str:
    return str(json.loads(body)["error"])


def test_it_answers_with_the_bytes_that_the_step_would_write(port: int) -> None:
    status, body, headers = ask(port)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert_whole(body)


def test_a_request_may_name_cities_and_units(port: int) -> None:
    home = {"name": "Home", "id": 1, "lat": 47.6, "lon": -122.3}
    status, body, _ = ask(port, {"cities": [home], "units": "metric"})
    assert status == 200
    (entry,) = json.loads(body)["list"]
    assert (entry["name"], entry["id"]) == ("Home", 1)
    assert entry["main"]["temp"] < 60


def test_it_says_that_it_runs(port: int) -> None:
    assert ask(port, method="GET", path="/healthz", headers={})[0] == 200
    assert ask(port, method="GET", path="/weather")[0] == 404
    assert ask(port, path="/other")[0] == 404


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": TOKEN}]
)
def test_strangers_are_refused_before_the_api_is_asked(
    port: int, weather_api: WeatherApi, headers: dict[str, str]
) -> None:
    weather_api.admin.tell("weather", "slow", times=9)
    assert ask(port, headers=headers)[0] == 401
    assert weather_api.admin.taken() == []


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "no JSON"),
        ([], 400, "want a JSON object"),
        ({"key": "x"}, 400, "key is not known; want cities, units"),
        ({"units": "celsius"}, 400, "want one of standard, metric, imperial"),
        ({"cities": []}, 400, "want a list with at least one"),
        ({"cities": [{"name": "x"}]}, 400, "city 0"),
        (b" " * (service.LARGEST + 1), 413, "want at most"),
    ],
)
def test_a_request_that_is_none_is_told_what_is_wanted(port: int, body: object, status: int, words: str) -> None:
    answer = ask(port, body)
    assert answer[0] == status
    assert words in said(answer[1])


@pytest.mark.parametrize(("fault", "status"), [(429, 503), (500, 503), (401, 502), (404, 502)])
def test_a_fault_of_the_api_is_passed_on_in_words(port: int, weather_api: WeatherApi, fault: int, status: int) -> None:
    weather_api.admin.tell("weather", "status", status=fault)
    answered, body, headers = ask(port)
    assert answered == status
    assert "no weather for Redmond (5747882 at 47.674, -122.1215): " in said(body)
    assert str(fault) in said(body)
    assert headers.get("Retry-After") == ("30" if status == 503 else None)
    assert KEY not in body.decode()


def start(port: int, api: WeatherApi) -> dict[str, Any]:
    return {"PORT": str(port), "SERVICE_FETCH_WEATHER_TOKEN": TOKEN, **api.environment}


def test_an_answer_under_way_is_finished_when_it_is_stopped(weather_api: WeatherApi, tmp_path: Path) -> None:
    port, got = free_port(), []
    command = [sys.executable, "-m", "jobs", "fetch_weather", "serve"]
    log = tmp_path / "service.log"
    with running(command, port=port, log=log, environment={"PYTHONPATH": str(ROOT), **start(port, weather_api)}) as one:
        weather_api.admin.tell("weather", "slow", seconds=1.5)
        thread = threading.Thread(target=lambda: got.append(ask(port)))
        thread.start()
        weather_api.admin.wait_held()
        one.send_signal(signal.SIGTERM)
        thread.join(20)
        assert one.wait(20) == 143
    assert got[0][0] == 200
    assert_whole(got[0][1])
    text = log.read_text()
    assert "POST /weather 200" in text
    assert TOKEN not in text
    assert KEY not in text


def test_what_is_not_set_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jobs", "fetch_weather", "serve"]
    done = subprocess.run(command, env={"PORT": "x"}, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    for words in ("$PORT is", "$OPENWEATHERMAP_KEY is not set", "$SERVICE_FETCH_WEATHER_TOKEN is not set"):
        assert words in done.stderr
