"""What a store says when it cannot: which URL, which credentials, what to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidegate.step import AccessDenied, BadInput, BadSettings, NotFound, store_for
from tidegate.step.stores import router
from tidegate.step.stores.protocol import CHUNK

if TYPE_CHECKING:
    from tests.jobs.conftest import Place


def content(size: int) -> bytes:
    return b"x" * size


@pytest.mark.parametrize("call", ["stat", "open", "get"])
def test_what_is_not_there_is_named(place: Place, call: str) -> None:
    url = place.root / "missing.csv"
    with pytest.raises(NotFound, match=r"missing\.csv does not exist") as caught:
        getattr(place.store, call)(url)
    assert caught.value.url == url
    assert caught.value.exit_code == 2


def test_a_folder_is_no_object(place: Place) -> None:
    place.store.put(place.root / "folder/object", b"x")
    with pytest.raises(BadInput):
        place.store.stat(place.root / "folder")
    with pytest.raises(BadInput):
        place.store.put(f"{place.root}/folder/", b"x")


def test_a_missing_bucket_is_named_whatever_is_asked(remote_place: Place) -> None:
    url = remote_place.server.root.replace("tidegate", "nobucket", 1) + "/a/b.csv"
    for call in (
        lambda: remote_place.store.stat(url),
        lambda: remote_place.store.put(url, b"x"),
        lambda: remote_place.store.put(url, b"x", create_once=True),
        lambda: remote_place.store.put(url, b"x", if_match="abc"),
        lambda: remote_place.store.put(url, content(CHUNK + 1)),
        lambda: list(remote_place.store.list(url)),
    ):
        with pytest.raises(NotFound, match=r"'nobucket'.*does not exist; create it or correct"):
            call()


def test_wrong_credentials_are_named(remote_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    remote_place.store.put(remote_place.root / "x", b"x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    monkeypatch.setenv("AZURE_STORAGE_KEY", "d3Jvbmcta2V5LXdyb25nLWtleQ==")
    router._store.cache_clear()
    store = store_for(remote_place.root)
    for call in (
        store.get,
        store.stat,
        lambda url: store.put(url, b"y"),
        lambda url: store.put(url, content(CHUNK + 1)),
    ):
        with pytest.raises(AccessDenied, match=r"refused the credentials.*correct \$A[WSZURE]+_") as caught:
            call(remote_place.root / "x")
        assert "wrong-secret" not in str(caught.value)
        assert "d3Jvbmcta2V5" not in str(caught.value)


def test_an_unknown_key_id_is_named(s3_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    router._store.cache_clear()
    with pytest.raises(AccessDenied, match=r"correct \$AWS_ACCESS_KEY_ID"):
        store_for(s3_place.root).get(s3_place.root / "x")


def test_no_credentials_are_named(remote_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    monkeypatch.delenv("AZURE_STORAGE_KEY", raising=False)
    router._store.cache_clear()
    with pytest.raises(BadSettings, match=r"set (\$AWS_ACCESS_KEY_ID|a workload identity)"):
        store_for(remote_place.root).get(remote_place.root / "x")


def test_a_client_secret_wants_its_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "hush-hush")
    with pytest.raises(BadSettings, match=r"set \$AZURE_TENANT_ID and \$AZURE_CLIENT_ID too"):
        store_for("abfss://x@other/y")


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://x/y", "want s3://, abfss:// or file://"),
        ("data.csv", "want s3://, abfss:// or file://"),
        ("s3://", "names no bucket"),
        ("s3://bucket", "names no object"),
        ("s3://bucket/folder/", "names no object"),
        ("abfss://fs/path", "lacks its filesystem or account"),
        ("file://host/path", "names the host 'host'"),
    ],
)
def test_an_unreadable_url_is_refused(url: str, fault: str) -> None:
    with pytest.raises(BadInput, match=fault):
        store_for(url).stat(url)


def test_a_file_that_may_not_be_read_is_named(file_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("io.FileIO", refuse)
    with pytest.raises(AccessDenied, match="may not be read or written by user"):
        file_place.store.open(file_place.root / "x")
