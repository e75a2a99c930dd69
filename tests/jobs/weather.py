"""The weather stand-in as a process, the admin endpoints of both stand-ins, and fetch_weather run against them."""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jobs import fetch_weather
from tests.jobs.servers import running
from tests.ports import free_port
from tidegate.cluster.project import STANDINS
from tidegate.step import Result, Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.jobs.conftest import Place

KEY = "owm/key+with=odd&characters-0123456789"
"""Also such as look different inside a URL."""
MINUTE = datetime(2026, 1, 31, 13, 7, tzinfo=UTC)
FILE = "2026/01/31/13/07/weather_data.json"
NAMES = ["Redmond", "Seattle", "Kirkland", "Woodinville", "Tacoma", "Bellevue"]
TACOMA = "47.2529,-122.4443"
"""How the stand-in calls it when a fault is to match."""


@dataclass(frozen=True)
class Admin:
    """What makes a stand-in go wrong."""

    address: str

    def tell(self, call: str, do: str, **more: object) -> None:
        """One more fault."""
        self.ask("POST", document={"call": call, "do": do, **more})

    def forget(self) -> None:
        """None any more."""
        self.ask("DELETE")

    def held(self) -> list[str]:
        """Calls that were carried out and whose answer was held back."""
        found: list[str] = self.ask("GET")["held"]
        return found

    def taken(self) -> list[str]:
        """What went wrong, in order: `weather slow`."""
        found: list[str] = self.ask("GET")["taken"]
        return found

    def wait_held(self, *, seconds: float = 30) -> None:
        """Return once an answer is held back."""
        deadline = time.monotonic() + seconds
        while not self.held():
            assert time.monotonic() < deadline, f"no answer was held back within {seconds} s, taken: {self.taken()}"
            time.sleep(0.02)

    def ask(self, method: str, what: str = "faults", document: dict[str, object] | None = None) -> dict[str, Any]:
        """What it answers about one of the things that it knows."""
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            connection.request(method, f"/{what}", body=json.dumps(document) if document else None)
            answer = connection.getresponse()
            found: dict[str, Any] = json.loads(answer.read())
            assert answer.status == 200, found
            return found
        finally:
            connection.close()


@dataclass(frozen=True)
class WeatherApi:
    """The stand-in of OpenWeatherMap."""

    address: str
    admin: Admin
    log: Path
    key: str = field(default=KEY, repr=False)

    @property
    def url(self) -> str:
        return f"http://{self.address}/data/2.5/weather"

    @property
    def environment(self) -> dict[str, str]:
        """What fetch_weather is given to reach it."""
        return {"WEATHER_URL": self.url, "WEATHER_CALLS_PER_MINUTE": "60000", "OPENWEATHERMAP_KEY": self.key}


@contextmanager
def weather_api(folder: Path, *, per_minute: int = 1_000_000) -> Iterator[WeatherApi]:
    """Run it until the block ends."""
    port, admin = free_port(), free_port()
    own = {
        "WEATHER_API_KEY": KEY,
        "WEATHER_API_LISTEN": f"127.0.0.1:{port}",
        "WEATHER_API_ADMIN": f"127.0.0.1:{admin}",
        "WEATHER_API_CALLS_PER_MINUTE": str(per_minute),
        "PYTHONPATH": os.pathsep.join([str(STANDINS / "weather_api"), str(STANDINS)]),
    }
    log = folder / "weather_api.log"
    with running([sys.executable, "-m", "weather_api"], port=port, log=log, environment=own):
        yield WeatherApi(f"127.0.0.1:{port}", Admin(f"127.0.0.1:{admin}"), log)


def lake_admin(place: Place) -> Admin:
    return Admin(place.server.extra["admin"])


def settings(place: Place, api: WeatherApi, **changes: Any) -> fetch_weather.Settings:
    """Those of a run of 13:07, without waits for the sake of a plan."""
    given = {"api_url": api.url, "key": Secret(api.key), "calls_per_minute": 60_000, "logical_date": MINUTE}
    return fetch_weather.Settings(**(given | {"output": place.root} | changes))


def fetch(place: Place, api: WeatherApi, **changes: Any) -> Result:
    """Run the step in this process."""
    return fetch_weather.run(settings(place, api, **changes), place.store)


def laid_out(body: bytes) -> bytes:
    """The same document as the reference systems ask for it."""
    return json.dumps(json.loads(body), sort_keys=True, indent=4, separators=(",", ": ")).encode()


def assert_whole(body: bytes) -> None:
    """All six cities, laid out as specified."""
    assert body == laid_out(body)
    document = json.loads(body)
    assert document["cnt"] == len(document["list"]) == 6
    assert [entry["name"] for entry in document["list"]] == NAMES
