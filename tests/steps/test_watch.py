"""What steps that begin together share of the cluster: the ConfigMap is read once for them, and anew for later ones."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.steps.scene import CONFIG
from tidegate.airflow import watch
from tidegate.airflow.kube import KubeError
from tidegate.airflow.watch import PodWatch

if TYPE_CHECKING:
    import pytest

    from tidegate.airflow.kube import Pods


class Reader:
    """Answers in its own time; the first `faults` times with an error."""

    def __init__(self, *, faults: int = 0) -> None:
        self.reads, self.faults = 0, faults

    async def config(self, name: str) -> dict[str, str]:
        assert name == "tidegate-steps"
        self.reads += 1
        await asyncio.sleep(0.01)
        if self.reads <= self.faults:
            raise KubeError(503, "", "away")
        return dict(CONFIG)


def watch_of(reader: Any) -> PodWatch:
    pods: Pods = reader
    return PodWatch(pods)


async def many(of: PodWatch) -> list[Any]:
    return await asyncio.gather(*(of.config() for _ in range(30)), return_exceptions=True)


def test_steps_that_begin_together_read_the_config_map_once() -> None:
    reader = Reader()
    assert asyncio.run(many(watch_of(reader))) == [CONFIG] * 30
    assert reader.reads == 1


def test_a_step_that_begins_later_reads_it_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "FRESH_SECONDS", 0.05)
    reader = Reader()
    shared = watch_of(reader)

    async def story() -> None:
        await shared.config()
        await asyncio.sleep(0.1)
        await shared.config()

    asyncio.run(story())
    assert reader.reads == 2


def test_a_failure_is_kept_for_nobody() -> None:
    reader = Reader(faults=1)
    shared = watch_of(reader)

    async def story() -> tuple[list[Any], Any]:
        return await many(shared), await shared.config()

    first, then = asyncio.run(story())
    assert {type(one) for one in first} == {KubeError}
    assert then == CONFIG
    assert reader.reads == 2


def test_one_that_is_cancelled_takes_it_from_nobody() -> None:
    reader = Reader()
    shared = watch_of(reader)

    async def story() -> Any:
        first = asyncio.create_task(shared.config())
        await asyncio.sleep(0)
        second = asyncio.create_task(shared.config())
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(story()) == CONFIG
    assert reader.reads == 1
