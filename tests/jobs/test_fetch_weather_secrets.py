"""The key of the weather API is in nothing that a run leaves behind, however the run ends."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest

from tests.jobs.steps import Ended, environment, fork_step
from tests.jobs.weather import KEY, WeatherApi
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMS = {KEY, quote(KEY), quote(KEY, safe=""), quote_plus(KEY)}
"""The key as it is, and as it stands in a URL."""


class _Echo(BaseHTTPRequestHandler):
    """An API that says what it was asked, key and all."""

    def do_GET(self) -> None:
        status = int(self.path.partition("status=")[2][:3])
        body = f'{{"cod": {status}, "message": "you asked {self.path}"}}'.encode()
        self.send_response(status, f"see {self.path}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/data/2.5/weather"
    server.shutdown()
    server.server_close()
    thread.join()


def run(folder: Path, api: WeatherApi, *, url: str = "", **environ: str) -> Ended:
    """One run into a folder of its own, trying once."""
    asked = environment(folder, params={"tries": 1, "timeout": 2}) | api.environment
    return fork_step("fetch_weather", asked | ({"WEATHER_URL": url} if url else {}) | environ)


def assert_no_key(folder: Path, *ends: Ended) -> None:
    texts = [end.out + end.error for end in ends]
    texts += [path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()]
    assert any(texts)
    for text in texts:
        assert [form for form in FORMS if form in text] == []


def test_no_run_leaves_the_key_behind(weather_api: WeatherApi, echo: str, tmp_path: Path) -> None:
    def folder(name: str) -> Path:
        (tmp_path / name).mkdir()
        return tmp_path / name

    good = run(folder("good"), weather_api)
    assert good.code == 0, good.error
    refused = run(folder("refused"), weather_api, url=f"{echo}?status=401")
    assert refused.code == 2
    assert "you asked /data/2.5/weather" in refused.error
    assert "appid=***" in refused.error, "what is left of it shows that it was looked for"
    broken = run(folder("broken"), weather_api, url=f"{echo}?status=500")
    assert broken.code == 75
    gone = run(folder("gone"), weather_api, url=f"http://127.0.0.1:{free_port()}/x")
    assert gone.code == 75
    wrong = run(folder("wrong"), weather_api, url="ftp://127.0.0.1/x")
    assert (wrong.code, wrong.last_line.rpartition("; ")[2]) == (2, "want http:// or https://")
    misspelt = run(folder("misspelt"), weather_api, TIDEGATE_PARAMS='{"keys": 1}')
    assert misspelt.code == 2
    assert_no_key(tmp_path, good, refused, broken, gone, wrong, misspelt)


def test_the_stand_in_does_not_log_it_either(weather_api: WeatherApi, tmp_path: Path) -> None:
    assert run(tmp_path, weather_api).code == 0
    text = weather_api.log.read_text()
    assert "GET /data/2.5/weather 200" in text
    assert [form for form in FORMS if form in text] == []
