"""kill -9 at random instants of a write: the old object, the new one or none, never half of one."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.jobs.servers import ROOT
from tidegate.step import NotFound, TryAgain

if TYPE_CHECKING:
    from tests.jobs.conftest import Place

SIZE = 17 * 1024 * 1024
"""Three parts in S3."""

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
    for _ in range(6):
        _write_until_killed(url, mode, after=draw.uniform(0, 0.8))
        seen.add(_content(place, url))
        assert seen <= {b"a", b"b", b""}, f"half an object (seed {seed})"
    listed = {stat.url for stat in place.store.list(place.root)}
    assert listed <= {url}, f"an unfinished write is listed (seed {seed})"
    place.store.put(url, b"after")
    assert place.store.get(url) == b"after"


def _write_until_killed(url: str, mode: str, *, after: float) -> None:
    command = [sys.executable, "-c", WRITER, url, mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ), cwd=ROOT) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(after)
        writer.kill()


def _content(place: Place, url: str) -> bytes:
    """The one letter it is made of, empty where it is not there, its begin where it is neither."""
    try:
        data = _settled(place, url)
    except NotFound:
        return b""
    return data[:1] if len(data) == SIZE and data.count(data[:1]) == SIZE else data[:20] + b"... not whole"


def _settled(place: Place, url: str) -> bytes:
    """Read it; a request the dead writer had sent may still be carried out while we read."""
    for _ in range(5):
        try:
            return place.store.get(url, at_most=2 * SIZE)
        except TryAgain:
            time.sleep(0.2)
    raise AssertionError("it is still being replaced after the writer's death")
