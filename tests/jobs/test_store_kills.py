"""kill -9 at random instants of a write: the old object, the new one or none, never half of one."""

from __future__ import annotations

import os
import random
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests import forked
from tidegate.step import NotFound, TryAgain
from tidegate.step.stores.protocol import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.jobs.conftest import Place

SIZE = CHUNK + 1024 * 1024
"""Bytes; two parts in S3."""
SECONDS = 0.4
"""Within which a writer is killed: some writes of this size."""

WRITER = f"""
import sys
from tidegate.step import store_for
url, create_once = sys.argv[1], sys.argv[2] == "once"
store = store_for(url)
try:
    store.stat(url)
except Exception:
    pass
print("ready", flush=True)
for number in range(1000):
    letter = b"ab"[number % 2:][:1]
    store.put(url, letter * {SIZE}, create_once=create_once)
    if create_once:
        store.delete(url)
"""


@pytest.mark.parametrize("mode", ["replace", "once"])
def test_a_killed_write_is_whole_or_not_there(place: Place, mode: str) -> None:
    url, seen = place.root / "killed", set()
    seed = random.randrange(2**32)  # noqa: S311
    draw = random.Random(seed)  # noqa: S311
    for _ in range(4):
        _write_until_killed(url, mode, after=draw.uniform(0, SECONDS))
        seen.add(_settled(place, url))
        assert seen <= {b"a", b"b", b""}, f"half an object (seed {seed})"
    listed = {stat.url for stat in place.store.list(place.root)}
    assert listed <= {url}, f"an unfinished write is listed (seed {seed})"
    place.store.put(url, b"after")
    assert place.store.get(url) == b"after"


def test_a_reader_never_sees_half_of_what_is_being_replaced(place: Place) -> None:
    url = place.root / "watched"
    seen: list[bytes] = []
    place.store.put(url, b"a" * SIZE)
    with _writing(url, "replace") as writer:
        deadline = time.monotonic() + 30
        while (len(seen) < 8 or set(seen) != {b"a", b"b"}) and time.monotonic() < deadline:
            with suppress(TryAgain):
                seen.append(_content(place.store.get(url, at_most=2 * SIZE)))
            assert set(seen) <= {b"a", b"b"}
        writer.kill()
    assert set(seen) == {b"a", b"b"}


def _write_until_killed(url: str, mode: str, *, after: float) -> None:
    with _writing(url, mode) as writer:
        time.sleep(after)
        writer.kill()


@contextmanager
def _writing(url: str, mode: str) -> Iterator[forked.Program]:
    """A process that writes one whole object after the other."""
    with forked.Program(["-c", WRITER, url, mode], env=os.environ) as writer:
        try:
            assert writer.stdout.readline() == b"ready\n"
            yield writer
        finally:
            writer.kill()


def _content(data: bytes) -> bytes:
    """The one letter that a whole object is made of, else its begin."""
    return data[:1] if len(data) == SIZE and data.count(data[:1]) == SIZE else data[:20] + b"... not whole"


def _settled(place: Place, url: str) -> bytes:
    """What is there, empty for nothing; a request the dead writer had sent may still be carried out while we read."""
    for _ in range(5):
        try:
            return _content(place.store.get(url, at_most=2 * SIZE))
        except NotFound:
            return b""
        except TryAgain:
            time.sleep(0.2)
    raise AssertionError("it is still being replaced after the writer's death")
