"""One stand-in for all of these tests, empty before each; the step runs in this process, since its SDK loads slowly."""

from __future__ import annotations

import importlib
import json
import signal
import socket
import warnings
from typing import TYPE_CHECKING, Any

import certifi
import pytest

from jobs import azure_ml
from jobs.azure_ml import connection
from jobs.azure_ml.logs import poll_often
from tests.jobs.azure_ml.fake import SUFFIX, Fake, azure_ml_api
from tidegate.step import Result, Stores
from tidegate.step.settings import read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN = {"dag_id": "AML_CommandJob", "run_id": "manual__1", "task_id": "iris", "map_index": -1, "try_number": 1}
LOADED = ("jobs.azure_ml.work", "tests.jobs.azure_ml.hosts.sitecustomize")
"""What a process has loaded that the step is forked from."""
MOST_SECONDS = 150
"""For one test, on a busy machine."""


class Step:
    """Runs the step as a pod would, with the stand-in's connection."""

    def __init__(self, fake: Fake, folder: Path) -> None:
        self.fake, self.folder = fake, folder

    def environment(self, params: dict[str, Any], *, run: dict[str, Any], more: dict[str, str]) -> dict[str, str]:
        return {
            **self.fake.environment(),
            "TIDEGATE_PARAMS": json.dumps(params),
            "TIDEGATE_RUN": json.dumps({**RUN, **run}),
            "TIDEGATE_OUTPUT": (self.folder / "out").as_uri(),
            "TIDEGATE_RESULT": str(self.folder / "result.json"),
            **more,
        }

    def __call__(self, action: str, *, run: dict[str, Any] | None = None, code: str = "", **params: Any) -> Result:
        """One execution; variables of the environment are the params in capitals."""
        more = {name: str(params.pop(name)) for name in list(params) if name.isupper()}
        more |= {"TIDEGATE_INPUTS": json.dumps({"code": code})} if code else {}
        environ = self.environment({"action": action, **params}, run=run or {}, more=more)
        return azure_ml.run(read(azure_ml.Settings, environ), Stores())

    def value(self, action: str, **params: Any) -> dict[str, Any]:
        """What it hands on."""
        value = self(action, **params).value
        assert isinstance(value, dict)
        return value


def this_machine(patch: pytest.MonkeyPatch) -> None:
    """Make it the host of the stand-in's storage account; what the step sets in this process is put back as well."""
    real = socket.getaddrinfo

    def resolve(host: Any, *more: Any, **named: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith(SUFFIX) else host, *more, **named)

    patch.setattr(socket, "getaddrinfo", resolve)
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "AZUREML_CURRENT_CLOUD"):
        patch.setenv(name, "")
        patch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def _sdk() -> Iterator[None]:
    """Load the SDK once: it is not its importer's fault that it warns of itself. It tries again after a moment."""
    poll_often(1)
    with warnings.catch_warnings(action="ignore"):
        importlib.import_module("jobs.azure_ml.work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(connection.HTTP, "retry_backoff_factor", 0.01)
        yield


@pytest.fixture(scope="session")
def fake_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fake]:
    """The stand-in; to read the public authorities anew for each call is a third of what a test computes."""
    none = tmp_path_factory.mktemp("certifi") / "none.pem"
    none.write_text("")
    with pytest.MonkeyPatch.context() as patch, azure_ml_api(tmp_path_factory.mktemp("azure_ml_api")) as fake:
        patch.setattr(certifi, "where", lambda: str(none))
        yield fake


@pytest.fixture(autouse=True)
def _no_test_waits_for_ever(fake_server: Fake) -> Iterator[None]:
    """Shows what the jobs were doing when a test's time is over."""

    def give_up(*_: object) -> None:
        pytest.fail(f"not over within {MOST_SECONDS} s; jobs: {fake_server.jobs()}, asked: {fake_server.asked()[-5:]}")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(MOST_SECONDS)
    yield
    signal.alarm(0)


@pytest.fixture(autouse=True)
def _this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    this_machine(monkeypatch)


@pytest.fixture
def fake(fake_server: Fake) -> Iterator[Fake]:
    """Without resources, requests and faults."""
    fake_server.forget()
    yield fake_server
    fake_server.forget()


@pytest.fixture
def step(fake: Fake, tmp_path: Path) -> Step:
    return Step(fake, tmp_path)
