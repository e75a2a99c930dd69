"""Stores on real servers; each test has a folder of its own in them."""

from __future__ import annotations

import os
import subprocess
import threading
import time
import uuid
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from jobs import train_model
from jobs.upload_model import scoring
from tests import forked
from tests.jobs import entra, weather
from tests.jobs.servers import Server, datalake, versitygw
from tidegate.sample import petrol_csv
from tidegate.step import Input, Prefix, Store, Stores, store_for
from tidegate.step.stores import router
from tidegate.step.stores.abfss import service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobs.upload_model.card import Card

CREDENTIALS = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"),
    *("AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    *("AZURE_STORAGE_KEY", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "TIDEGATE_ABFSS_ENDPOINT"),
    *("AZURE_AUTHORITY_HOST", "AZURE_TENANT_ID", "AZURE_CLIENT_ID"),
)
LIVE_ACCOUNT = os.environ.get("ADLS_LIVE_ACCOUNT", "")
"""A real storage account with hierarchical namespaces, which the tests of storage then run on too."""
LIVE_IDENTITY = {name: text for name, text in os.environ.items() if name.startswith(("AZURE_", "TIDEGATE_ABFSS_"))}
"""How it is reached: as a step reaches it."""
LIVE_HOSTS = [f"{LIVE_ACCOUNT}.{kind}.core.windows.net" for kind in ("dfs", "blob")] + ["login.microsoftonline.com"]
LIVE = pytest.param("live", marks=pytest.mark.allow_hosts(["127.0.0.1", *LIVE_HOSTS]))


@dataclass(frozen=True)
class Place:
    """A store, a folder in it that is empty, and the server behind it."""

    store: Store
    root: Prefix
    server: Server


@pytest.fixture
def slept() -> Iterator[list[float]]:
    """What was waited for, in seconds; each wait is cut short."""
    real, waits = time.sleep, list[float]()

    def sleep(seconds: float) -> None:
        if threading.current_thread() is threading.main_thread():  # servers of these tests wait as well
            waits.append(seconds)
        real(min(seconds, 0.05))

    with patch("time.sleep", sleep):
        yield waits


@pytest.fixture(autouse=True)
def _only_our_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches a cloud that the machine happens to know."""
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    router._store.cache_clear()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with versitygw(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture(scope="session")
def abfss_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with datalake(tmp_path_factory.mktemp("datalake")) as server:
        yield server


@pytest.fixture(scope="session")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[entra.Tenant]:
    with entra.entra(tmp_path_factory.mktemp("entra")) as found:
        yield found


@pytest.fixture(scope="session")
def token_server(
    abfss_server: Server, tenant: entra.Tenant, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The same lake for those who sign in by Entra; the identity is left to the fixtures of places."""
    with entra.datalake_by_token(tmp_path_factory.mktemp("datalake_by_token"), abfss_server, tenant) as server:
        yield server


@pytest.fixture(scope="session")
def weather_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[weather.WeatherApi]:
    with weather.weather_api(tmp_path_factory.mktemp("weather_api")) as api:
        yield api


@pytest.fixture
def weather_api(weather_server: weather.WeatherApi) -> Iterator[weather.WeatherApi]:
    """A weather API without faults."""
    weather_server.admin.forget()
    yield weather_server
    weather_server.admin.forget()


@pytest.fixture
def file_place(tmp_path: Path) -> Place:
    folder = tmp_path / "store"
    server = Server(folder.as_uri(), {}, "")
    return Place(store_for("file:///"), Prefix(folder.as_uri()), server)


@pytest.fixture
def s3_place(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Place:
    return _place(s3_server, monkeypatch)


@pytest.fixture
def abfss_place(abfss_server: Server, monkeypatch: pytest.MonkeyPatch) -> Place:
    return _place(abfss_server, monkeypatch)


@pytest.fixture
def client_secret_place(token_server: Server, tenant: entra.Tenant, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The lake, for a service principal."""
    return _place(_with(token_server, AZURE_CLIENT_SECRET=tenant.secret), monkeypatch)


@pytest.fixture
def workload_identity_place(token_server: Server, federated_token: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The lake, for a pod with a workload identity."""
    return _place(_with(token_server, AZURE_FEDERATED_TOKEN_FILE=str(federated_token)), monkeypatch)


@pytest.fixture(scope="session")
def federated_token(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the webhook of workload identities puts into a pod."""
    path = tmp_path_factory.mktemp("federated") / "token"
    path.write_text(entra.federated(seconds=7200))
    return path


def _with(server: Server, **identity: str) -> Server:
    return replace(server, environment={**server.environment, **identity})


@pytest.fixture(scope="session")
def live_server() -> Iterator[Server]:
    """A filesystem of its own in the real account, gone afterwards."""
    name = f"tidegate-tests-{uuid.uuid4().hex[:12]}"
    with pytest.MonkeyPatch.context() as patch:
        for variable, text in LIVE_IDENTITY.items():
            patch.setenv(variable, text)
        account = service(LIVE_ACCOUNT)
    with account, account.create_file_system(name) as filesystem:
        yield Server(f"abfss://{name}@{LIVE_ACCOUNT}", LIVE_IDENTITY, "")
        filesystem.delete_file_system()


@pytest.fixture
def live_place(live_server: Server, monkeypatch: pytest.MonkeyPatch) -> Place:
    return _place(live_server, monkeypatch)


STORES = ("file", "s3", "abfss", *([LIVE] if LIVE_ACCOUNT else []))
IDENTITIES = ("client_secret", "workload_identity")
"""Of the lake, besides the account's key, which `abfss` has."""


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest) -> Place:
    """The same test on every store."""
    chosen = request.getfixturevalue(f"{request.param}_place")
    assert isinstance(chosen, Place)
    return chosen


@pytest.fixture(params=["s3", "abfss"])
def remote_place(request: pytest.FixtureRequest) -> Place:
    """The same test on every store behind a network."""
    chosen = request.getfixturevalue(f"{request.param}_place")
    assert isinstance(chosen, Place)
    return chosen


OPENED: dict[str, Store] = {}
"""By server: to make a client anew for each test is a third of what a test of stores computes."""


def _place(server: Server, monkeypatch: pytest.MonkeyPatch) -> Place:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    key = f"{server.root} {server.address} {sorted(server.environment)}"
    if key not in OPENED:
        OPENED[key] = store_for(server.root)
    return Place(OPENED[key], Prefix(server.root) / uuid.uuid4().hex, server)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, `0` and `1`, on disk."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "data.csv").write_bytes(petrol_csv(60))
    for seed in (0, 1):
        settings = train_model.Settings(
            data=Input((folder / "data.csv").as_uri()),
            n_estimators=5,
            random_state=seed,
            output=Prefix((folder / str(seed)).as_uri()),
        )
        train_model.run(settings, Stores())
    return folder


@pytest.fixture
def forked_scoring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the scoring process its loading of scikit-learn."""

    def run(command: list[str], **given: Any) -> subprocess.CompletedProcess[bytes]:
        plain = {name: given[name] for name in ("env", "cwd", "timeout")}
        done = forked.run(command[command.index(str(scoring.SCRIPT)) :], given=given["input"], **plain)
        return subprocess.CompletedProcess(command, done.returncode, done.stdout.encode(), done.stderr.encode())

    own = SimpleNamespace(run=run, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr(scoring, "subprocess", own)


@pytest.fixture
def unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the scoring process where what is tested is the order of writes."""

    def believe(*_: object, card: Card, seconds: int) -> dict[str, float]:
        assert seconds
        return dict(card.metrics)

    monkeypatch.setattr(scoring, "score", believe)
