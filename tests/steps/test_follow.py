"""When a log's stream is opened again: at once where it was cut, and not before the end where it came to one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tidegate.airflow import follow
from tidegate.airflow.kube import KubeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

LINES = [f"2026-01-01T00:00:0{number}.000000000Z line {number}\n".encode() for number in range(4)]


class Node:
    """Logs of a container, of which each stream shows as much as is said."""

    def __init__(self, *streams: tuple[int, bool]) -> None:
        self.streams = list(streams)
        self.opened: list[bool] = []

    async def log(self, _name: str, *, follow: bool, **_: Any) -> AsyncIterator[bytes]:
        """So many lines, then an error if the stream is cut; one that is not in the list shows all and ends."""
        self.opened.append(follow)
        count, cut = self.streams.pop(0) if self.streams else (len(LINES), False)
        for line in LINES[:count]:
            yield line
        if cut:
            raise KubeError("GET", 500, "cut")


def followed(node: Node) -> list[str]:
    """What is told of a container that ends a moment after its log was first seen to end or to be cut twice."""
    seen: list[str] = []

    async def run() -> None:
        log = follow.PodLog(node, "x", emit=lambda text, _stamp: seen.append(text))  # type: ignore[arg-type]
        log.start()
        await asyncio.sleep(0.2)
        async with asyncio.timeout(5):
            assert await log.finish() == ""

    asyncio.run(run())
    return seen


def test_a_stream_that_was_cut_is_taken_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "REOPEN_SECONDS", 0.01)
    node = Node((1, True), (2, True))
    assert followed(node) == [f"line {number}" for number in range(4)]
    assert node.opened == [True, True, True, False]


def test_a_stream_that_ended_is_not_opened_again_while_the_end_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "REOPEN_SECONDS", 0.01)
    node = Node((3, False))
    assert followed(node) == [f"line {number}" for number in range(4)]
    assert node.opened == [True, False]
