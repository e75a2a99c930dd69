"""What every store promises, on the real thing: files, versitygw, and Azurite behind the Data Lake translator.

The lake is reached with each of its three identities: the account's key, a client secret, a workload identity.
"""

from __future__ import annotations

import io
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.jobs.conftest import IDENTITIES, LIVE_ACCOUNT, STORES, Place
from tidegate.step import (
    BadInput,
    Changed,
    Exists,
    NotFound,
    TryAgain,
    publish,
    publish_changed,
    publish_once,
    sha256_of,
)
from tidegate.step.stores.protocol import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = {"empty": 0, "small": 5, "one chunk": CHUNK, "chunks and a bit": 2 * CHUNK + 7}
LARGE = CHUNK + 1
"""Bytes that are written and read in more than one piece."""


@pytest.fixture(params=[*STORES, *IDENTITIES])
def place(request: pytest.FixtureRequest) -> Place:
    chosen = request.getfixturevalue(f"{request.param}_place")
    assert isinstance(chosen, Place)
    return chosen


@pytest.fixture(params=["s3", "abfss", *IDENTITIES])
def remote_place(request: pytest.FixtureRequest) -> Place:
    chosen = request.getfixturevalue(f"{request.param}_place")
    assert isinstance(chosen, Place)
    return chosen


def content(size: int) -> bytes:
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_what_was_put_is_read_back(place: Place, size: int) -> None:
    url = place.root / "folder/object.bin"
    written = place.store.put(url, io.BytesIO(content(size)))
    assert written == place.store.stat(url)
    assert (written.url, written.size) == (url, size)
    assert written.etag
    with place.store.open(url) as body:
        assert body.stat == written
        assert body.read() == content(size)


def test_bytes_and_streams_that_give_little_are_the_same(place: Place) -> None:
    class Drops(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 3))

    for data in (b"twelve bytes", Drops(b"twelve bytes")):
        place.store.put(place.root / "same", data)
        assert place.store.get(place.root / "same") == b"twelve bytes"


def test_a_stream_can_be_read_in_small_pieces_and_left_early(place: Place) -> None:
    place.store.put(place.root / "long", content(CHUNK + 100))
    with place.store.open(place.root / "long") as body:
        assert body.read(3) == b"012"
        assert body.read(4) == b"3456"
        assert len(body.read(CHUNK)) == CHUNK


def test_get_refuses_what_is_too_large(place: Place) -> None:
    place.store.put(place.root / "large", b"123456")
    assert place.store.get(place.root / "large", at_most=6) == b"123456"
    with pytest.raises(BadInput, match="has 6 bytes; want at most 5"):
        place.store.get(place.root / "large", at_most=5)


@pytest.mark.parametrize("size", [3, LARGE], ids=["small", "large"])
def test_create_once_keeps_the_first(place: Place, size: int) -> None:
    url = place.root / "once"
    first = place.store.put(url, b"a" * size, create_once=True)
    with pytest.raises(Exists, match="exists already"):
        place.store.put(url, b"b" * size, create_once=True)
    assert place.store.stat(url) == first
    assert place.store.get(url)[:3] == b"aaa"


@pytest.mark.parametrize("size", [3, LARGE], ids=["small", "large"])
def test_a_plain_put_replaces(place: Place, size: int) -> None:
    url = place.root / "replaced"
    first = place.store.put(url, b"a" * size)
    second = place.store.put(url, b"b" * size)
    assert first.etag != second.etag
    assert place.store.get(url, at_most=size) == b"b" * size


@pytest.mark.parametrize("size", [3, LARGE], ids=["small", "large"])
def test_if_match_replaces_that_version_only(place: Place, size: int) -> None:
    url = place.root / "matched"
    first = place.store.put(url, b"a" * size)
    place.store.put(url, b"b" * size, if_match=first.etag)
    with pytest.raises(Changed):
        place.store.put(url, b"c" * size, if_match=first.etag)
    assert place.store.get(url, at_most=size) == b"b" * size


def test_if_match_on_nothing_is_changed(place: Place) -> None:
    etag = place.store.put(place.root / "other/object", b"a").etag
    with pytest.raises(Changed):
        place.store.put(place.root / "never", b"b", if_match=etag)
    with pytest.raises(Changed):
        place.store.put(place.root / "never", content(LARGE), if_match=etag)
    assert [stat.url for stat in place.store.list(place.root)] == [place.root / "other/object"]


def test_of_many_creators_one_wins(place: Place) -> None:
    url = place.root / "race"
    winners = together(8, lambda number: place.store.put(url, str(number).encode(), create_once=True))
    assert len(winners) == 1
    assert place.store.get(url) == str(winners[0]).encode()


def test_of_many_who_saw_one_version_one_wins(place: Place) -> None:
    url = place.root / "race"
    etag = place.store.put(url, b"start").etag
    winners = together(8, lambda number: place.store.put(url, str(number).encode(), if_match=etag))
    assert len(winners) == 1
    assert place.store.get(url) == str(winners[0]).encode()


def together(count: int, write: Callable[[int], object]) -> list[int]:
    """Call `write` from many threads at once; the numbers of those that were not refused."""
    barrier, winners, odd = threading.Barrier(count), [], []

    def one(number: int) -> None:
        barrier.wait(30)
        try:
            write(number)
            winners.append(number)
        except (Exists, Changed):
            pass
        except Exception as error:
            odd.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not odd
    return winners


def test_a_stream_that_breaks_leaves_the_old_object_and_nothing_else(place: Place) -> None:
    class Breaks(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= 2 * CHUNK:
                raise RuntimeError("the source broke")
            return super().read(size)

    url = place.root / "folder/kept"
    place.store.put(url, b"old")
    with pytest.raises(RuntimeError):
        place.store.put(url, Breaks(content(2 * CHUNK)))
    assert place.store.get(url) == b"old"
    assert [stat.url for stat in place.store.list(place.root)] == [url]


NAMES = ("b/c.txt", "b/ü ñ+&=%41#?.txt", "b/deeper/down/x.txt", "ba.txt", "z")


def test_list_tells_all_below_a_folder_and_nothing_beside(place: Place) -> None:
    for name in NAMES:
        place.store.put(place.root / name, name.encode())
    wanted = ("b/c.txt", "b/deeper/down/x.txt", "b/ü ñ+&=%41#?.txt")
    listed = list(place.store.list(place.root / "b"))
    assert [stat.url for stat in listed] == [place.root / name for name in wanted]
    assert [place.store.get(stat.url) for stat in listed] == [name.encode() for name in wanted]
    assert [place.store.stat(stat.url).etag for stat in listed] == [stat.etag for stat in listed]
    assert [stat.size for stat in place.store.list(f"{place.root}/b/deeper/")] == [len("b/deeper/down/x.txt")]


def test_list_of_no_folder_is_empty(place: Place) -> None:
    assert list(place.store.list(place.root / "nowhere")) == []


def test_delete_can_be_done_twice(place: Place) -> None:
    place.store.put(place.root / "x", b"x")
    place.store.delete(place.root / "x")
    place.store.delete(place.root / "x")
    with pytest.raises(NotFound):
        place.store.stat(place.root / "x")


def test_a_presigned_url_reads_without_credentials(remote_place: Place) -> None:
    url = remote_place.root / "folder/signed é.txt"
    remote_place.store.put(url, b"open sesame")
    link = remote_place.store.presign(url, seconds=60)
    with urllib.request.urlopen(link, timeout=10) as answer:  # noqa: S310
        assert answer.read() == b"open sesame"
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(link.partition("?")[0], timeout=10)  # noqa: S310


def test_a_file_cannot_be_presigned(file_place: Place) -> None:
    with pytest.raises(BadInput, match="use s3:// or abfss://"):
        file_place.store.presign(file_place.root / "x")


def test_an_object_replaced_while_it_is_read_is_not_mixed(remote_place: Place) -> None:
    url = remote_place.root / "mixed"
    remote_place.store.put(url, b"a" * LARGE)
    with remote_place.store.open(url) as body:
        assert body.read(10) == b"a" * 10
        remote_place.store.put(url, b"b" * LARGE)
        with pytest.raises(TryAgain, match="was replaced while it was read"):
            body.read()


def test_a_file_replaced_while_it_is_read_stays_the_old_one(file_place: Place) -> None:
    url = file_place.root / "kept"
    file_place.store.put(url, b"a" * (2 * CHUNK))
    with file_place.store.open(url) as body:
        file_place.store.put(url, b"b")
        assert body.read() == b"a" * (2 * CHUNK)


def test_a_versioned_bucket_tells_the_version(s3_place: Place) -> None:
    first = s3_place.store.put(s3_place.root / "v", b"1")
    second = s3_place.store.put(s3_place.root / "v", b"2")
    assert first.version
    assert second.version
    assert first.version != second.version == s3_place.store.stat(s3_place.root / "v").version


def test_published_output_tells_what_was_written(place: Place) -> None:
    digest = "315f5bdb76d078c43b8ac0064e4a0164612b1fce77c869345bfc94c75894edd3"
    output = publish(place.store, "greeting", place.root / "g", b"Hello, world!")
    assert (output.name, output.size, output.sha256) == ("greeting", 13, digest)
    assert output.etag == place.store.stat(place.root / "g").etag
    assert sha256_of(place.store, place.root / "g") == digest


def test_publish_once_takes_the_same_bytes_and_no_others(place: Place) -> None:
    digest = "315f5bdb76d078c43b8ac0064e4a0164612b1fce77c869345bfc94c75894edd3"
    first = publish_once(place.store, "g", place.root / "g", b"Hello, world!", digest=digest)
    assert publish_once(place.store, "g", place.root / "g", b"Hello, world!", digest=digest) == first
    place.store.put(place.root / "g", b"Hello, moon!")
    with pytest.raises(Exists, match="holds other bytes"):
        publish_once(place.store, "g", place.root / "g", b"Hello, world!", digest=digest)


def test_publish_changed_keeps_the_version_of_the_same_bytes(place: Place) -> None:
    first = publish_changed(place.store, "c", place.root / "c", b"{}")
    assert publish_changed(place.store, "c", place.root / "c", b"{}") == first
    assert publish_changed(place.store, "c", place.root / "c", b"[]").sha256 != first.sha256
    assert place.store.get(place.root / "c") == b"[]"


def test_a_real_data_lake_is_among_the_stores(request: pytest.FixtureRequest) -> None:
    """The account that ADLS_LIVE_ACCOUNT names, with the identity that a step would take from the environment."""
    if not LIVE_ACCOUNT:
        pytest.skip("optional: no real data lake: set ADLS_LIVE_ACCOUNT and an identity, such as AZURE_STORAGE_KEY")
    names = {item.callspec.params.get("place") for item in request.session.items if hasattr(item, "callspec")}
    assert "live" in names
