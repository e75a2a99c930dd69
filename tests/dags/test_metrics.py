"""Figures of steps, by Airflow's own client to a StatsD of ours: what is sent for which end of a try."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow._shared.observability.metrics import stats as airflows
from airflow.observability import stats
from airflow.observability.metrics import stats_utils

from tests.dags.test_identity import RUN
from tidegate.airflow import metrics
from tidegate.airflow.failures import Failure, Kind, Then
from tidegate.ledger import Blind, Ended, Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

TAGS = f"dag_id={RUN.dag_id},step=train_model"
OOM = Failure(kind=Kind.OUT_OF_MEMORY, message="m", then=Then.RETRY)


class Heard:
    """A StatsD that keeps what it is sent."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server

    def lines(self, count: int) -> set[str]:
        """So many packets, without the order of their tags."""
        return {_sorted(self._server.recv(4096).decode()) for _ in range(count)}


def _sorted(line: str) -> str:
    name, _, value = line.partition(":")
    head, *tags = name.split(",")
    return f"{','.join([head, *sorted(tags)])}:{value}"


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        settings = {"ON": "True", "HOST": "127.0.0.1", "PORT": str(server.getsockname()[1]), "INFLUXDB_ENABLED": "True"}
        for name, value in settings.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__STATSD_{name}", value)
        stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=True)
        metrics._sender.cache_clear()
        yield Heard(server)
        if sender := metrics._sender():
            sender.shutdown()
        airflows._get_backend().statsd.close()  # type: ignore[union-attr]
    monkeypatch.undo()
    metrics._sender.cache_clear()
    stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=True)


def verdict(kind: type[Any], **fields: Any) -> Any:
    """One of the ledger's answers; only its kind and, of a hit, its row's time are looked at."""
    found = object.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(found, name, value)
    return found


def count(found: Any, *, of: Any = None, seconds: float = 2.5) -> dict[str, Any]:
    return metrics.count(RUN, found, verdict=of, step="train_model", seconds=seconds)


def test_a_step_that_ran(heard: Heard) -> None:
    assert count({}) == {"outcome": "ran", "kind": "none", "seconds": 2.5}
    assert heard.lines(2) == {
        f"airflow.tidegate.steps_total,dag_id={RUN.dag_id},kind=none,outcome=ran,step=train_model:1|c",
        f"airflow.tidegate.step_seconds_total,dag_id={RUN.dag_id},outcome=ran,step=train_model:2.5|c",
    }


def test_a_hit_tells_what_it_saved(heard: Heard) -> None:
    assert count({}, of=verdict(Hit, row=SimpleNamespace(seconds=61.5)))["outcome"] == "hit"
    lines = heard.lines(3)
    assert f"airflow.tidegate.saved_seconds_total,{TAGS}:61.5|c" in lines
    assert [line for line in lines if "outcome=hit" in line and line.endswith(":1|c")]


def test_a_failure_tells_its_class(heard: Heard) -> None:
    assert count(OOM)["kind"] == "out_of_memory"
    assert any("kind=out_of_memory,outcome=failed" in line for line in heard.lines(2))


def test_an_end_that_is_told_again_is_no_second_run(heard: Heard) -> None:
    assert count({}, of=verdict(Ended))["outcome"] == "ended"
    assert any("outcome=ended" in line for line in heard.lines(2))


def test_a_step_that_ran_without_the_ledger_is_counted_as_such(heard: Heard) -> None:
    assert count({}, of=verdict(Blind))["outcome"] == "ran"
    assert f"airflow.tidegate.ledger_away_total,{TAGS}:1|c" in heard.lines(3)


def test_a_pod_is_counted(heard: Heard) -> None:
    metrics.pod_made(RUN, step="train_model")
    assert heard.lines(1) == {f"airflow.tidegate.pods_total,{TAGS}:1|c"}


def test_a_figure_that_cannot_be_sent_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(metrics.stats, "incr", refuse)
    metrics._send(metrics.PODS, 1, {})


def test_where_nobody_is_told_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_send", lambda *_: pytest.fail("sent"))
    assert metrics._sender() is None
    assert count({})["outcome"] == "ran"


def test_the_last_line_of_a_log_says_all_in_fields() -> None:
    said: list[tuple[str, dict[str, Any]]] = []
    say: Any = SimpleNamespace(info=lambda event, **fields: said.append((event, fields)))
    metrics.over(RUN, None, OOM, step="train_model", seconds=1.0, say=say)
    ((event, fields),) = said
    assert event == "over"
    assert fields == {
        "step": "train_model",
        "outcome": "failed",
        "kind": "out_of_memory",
        "seconds": 1.0,
        **RUN.document(),
    }
