"""A large object passes through a store in pieces: memory does not grow with it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.jobs.servers import ROOT

if TYPE_CHECKING:
    from tests.jobs.conftest import Place

SIZE = 128 * 1024 * 1024
MOST = SIZE // 2
"""Bytes that the process may grow by: a few chunks of 8 MiB, and what the allocator keeps."""

PROGRAM = f"""
import resource, sys
from tidegate.step import publish, sha256_of, store_for
url = sys.argv[1]
store = store_for(url)

class Endless:
    left = {SIZE}
    def read(self, size, /):
        size = min(size, self.left)
        self.left -= size
        return b"x" * size

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

publish(store, "warm", url + ".warm", b"x" * (9 << 20))
sha256_of(store, url + ".warm")
before = peak()
output = publish(store, "large", url, Endless())
assert output.size == {SIZE}
after_put = peak() - before
assert sha256_of(store, url) == output.sha256
print(after_put, peak() - before)
"""


def test_memory_does_not_grow_with_the_object(place: Place) -> None:
    command = [sys.executable, "-c", PROGRAM, place.root / "large"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ), check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    put, both = map(int, done.stdout.split())
    assert put < MOST
    assert both < MOST
    place.store.delete(place.root / "large")
