"""A network that fails: bounded retries, no answer lost, no half object, and a plain word when it is over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from tests.jobs.servers import FaultyProxy
from tests.ports import free_port
from tidegate.step import Exists, Store, TryAgain, store_for
from tidegate.step.stores import router
from tidegate.step.stores.protocol import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.jobs.conftest import Place

ENDPOINTS = {"s3": "AWS_ENDPOINT_URL_S3", "abfss": "TIDEGATE_ABFSS_ENDPOINT"}


@pytest.fixture
def proxy(remote_place: Place) -> Iterator[FaultyProxy]:
    with FaultyProxy(remote_place.server.address).serving() as proxy:
        yield proxy


@pytest.fixture
def behind(remote_place: Place, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store, with the proxy between it and its server; waits between retries are cut short."""
    return _store_at(remote_place, proxy.address, monkeypatch)


@pytest.fixture(autouse=True)
def _no_long_waits() -> Iterator[None]:
    real = time.sleep
    with patch("time.sleep", lambda seconds: real(min(seconds, 0.02))):
        yield


def _store_at(place: Place, address: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv(ENDPOINTS[place.root.partition(":")[0]], f"http://{address}")
    router._store.cache_clear()
    return store_for(place.root)


@pytest.mark.parametrize("method", ["PUT", "PUT rename"])
def test_a_created_object_is_ours_though_the_answer_was_lost(
    remote_place: Place, proxy: FaultyProxy, behind: Store, method: str
) -> None:
    if method == "PUT rename" and remote_place.root.startswith("s3:"):
        method = "PUT"
    proxy.faults = [(method, "lose answer")]
    url = remote_place.root / "lost"
    written = behind.put(url, b"content", create_once=True)
    assert not proxy.faults
    assert written == remote_place.store.stat(url)
    with pytest.raises(Exists):
        behind.put(url, b"other", create_once=True)


def test_a_completed_upload_is_ours_though_the_answer_was_lost(
    s3_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultyProxy(s3_place.server.address).serving() as proxy:
        store, url = _store_at(s3_place, proxy.address, monkeypatch), s3_place.root / "large"
        proxy.faults = [("POST", "pass"), ("POST", "lose answer")]
        written = store.put(url, b"x" * (CHUNK + 1), create_once=True)
        assert not proxy.faults
    there = s3_place.store.stat(url)
    assert (written.size, written.etag) == (there.size, there.etag)


def test_a_few_refusals_are_ridden_out(remote_place: Place, proxy: FaultyProxy, behind: Store) -> None:
    proxy.faults = [("PUT", "503"), ("PUT", "503")]
    behind.put(remote_place.root / "busy", b"content")
    assert not proxy.faults
    proxy.faults = [("GET", "503"), ("GET", "503")]
    assert behind.get(remote_place.root / "busy") == b"content"
    assert not proxy.faults


def test_refusals_without_end_are_try_again(remote_place: Place, proxy: FaultyProxy, behind: Store) -> None:
    proxy.faults = [("PUT", "503")] * 100
    with pytest.raises(TryAgain, match="503") as caught:
        behind.put(remote_place.root / "busy", b"content")
    assert caught.value.exit_code == 75
    assert len(proxy.seen) <= 10
    assert list(remote_place.store.list(remote_place.root)) == []


def test_a_body_that_breaks_off_is_asked_for_again(remote_place: Place, proxy: FaultyProxy, behind: Store) -> None:
    data = bytes(range(256)) * 4096
    remote_place.store.put(remote_place.root / "torn", data)
    proxy.faults = [("GET", "cut body"), ("GET", "cut body")]
    assert behind.get(remote_place.root / "torn") == data
    assert not proxy.faults


def test_a_body_that_always_breaks_off_is_try_again(remote_place: Place, proxy: FaultyProxy, behind: Store) -> None:
    remote_place.store.put(remote_place.root / "torn", b"x" * 100_000)
    proxy.faults = [("GET", "cut body")] * 100
    with pytest.raises(TryAgain):
        behind.get(remote_place.root / "torn")
    assert len(proxy.seen) <= 20


def test_a_server_that_is_not_there_is_try_again(remote_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    store = _store_at(remote_place, f"127.0.0.1:{free_port()}", monkeypatch)
    with pytest.raises(TryAgain, match=r"the (server|service) up"):
        store.get(remote_place.root / "x")
