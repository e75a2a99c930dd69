"""`tidegate logs …`: from the pod while it runs, from Airflow afterwards, from what is left where Airflow is away."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tidegate.cli import airflow_api, app, task_log
from tidegate.cli.fault import Fault
from tidegate.cli.kubectl import Kubectl

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = "manual__1"


def pod(name: str, *, attempt: int = 1, phase: str = "Running", run: str = RUN, index: str = "none") -> dict[str, Any]:
    ids = {"dag-id": "petrol", "task-id": "train_model", "run-id": run}
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": f"2026-01-01T00:00:0{attempt}Z",
            "annotations": {f"tidegate.dev/{key}": value for key, value in ids.items()},
            "labels": {"tidegate.dev/try": str(attempt), "tidegate.dev/map-index": index},
        },
        "status": {"phase": phase},
    }


def task(**changes: Any) -> dict[str, Any]:
    return {"task_id": "train_model", "map_index": -1, "try_number": 1, "state": "deferred", **changes}


@dataclass
class FakeAirflow:
    """Airflow's API: its tasks in turn, and its log, which grows by the look."""

    tasks_seen: list[list[dict[str, Any]]]
    log_seen: list[list[str]] = field(default_factory=lambda: [["airflow says"]])
    asked: list[dict[str, Any]] = field(default_factory=list)

    def dag(self, dag_id: str) -> dict[str, Any] | None:
        return {"dag_id": dag_id} if dag_id != "none" else None

    def dag_ids(self) -> list[str]:
        return ["never", "petrol"]

    def runs(self, dag_id: str, *, limit: int) -> list[dict[str, Any]]:
        return [] if dag_id == "never" else [{"dag_run_id": RUN}][:limit]

    def tasks(self, *_: str) -> list[dict[str, Any]]:
        return self.tasks_seen.pop(0) if len(self.tasks_seen) > 1 else self.tasks_seen[0]

    def log(self, _: str, run: str, __: str, *, attempt: int, index: int) -> list[str]:
        self.asked.append({"run": run, "attempt": attempt, "index": index})
        return self.log_seen.pop(0) if len(self.log_seen) > 1 else self.log_seen[0]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Pods, and an Airflow that answers unless it is None."""
    found: dict[str, Any] = {"pods": [], "airflow": FakeAirflow([[task()]])}

    @contextmanager
    def airflow(_: Kubectl, *, patience: float) -> Iterator[FakeAirflow]:
        if found["airflow"] is None:
            msg = "no way to tidegate/airflow-api-server"
            raise Fault(msg)
        yield found["airflow"]

    monkeypatch.setattr(airflow_api, "airflow", airflow)
    monkeypatch.setattr(Kubectl, "items", lambda *_, **__: found["pods"])
    monkeypatch.setattr(Kubectl, "text", lambda _, *words, **__: f"pod {words[1]} says\nmore\n")
    monkeypatch.setattr(task_log, "EVERY", 0)
    return found


def logs(*arguments: str) -> list[str]:
    done = CliRunner().invoke(app, ["logs", "petrol", "train_model", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def test_a_pod_that_runs_is_read_itself(cluster: dict[str, Any]) -> None:
    cluster["pods"] = [pod("train-1"), pod("other", run="manual__0")]
    assert logs() == ["pod train-1 says", "more"]


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Pending", None])
def test_a_pod_that_does_not_run_is_read_from_airflow(cluster: dict[str, Any], phase: str | None) -> None:
    cluster["pods"] = [pod("train-1", phase=phase)] if phase else []
    assert logs() == ["airflow says"]


def test_an_earlier_try_is_not_taken_for_the_one_that_runs(cluster: dict[str, Any]) -> None:
    cluster["airflow"] = FakeAirflow([[task(try_number=2)]])
    cluster["pods"] = [pod("train-1", attempt=1), pod("train-2", attempt=2)]
    assert logs() == ["pod train-2 says", "more"]
    cluster["pods"] = [pod("train-2", attempt=2)]
    assert logs("--try", "1") == ["airflow says"]
    assert cluster["airflow"].asked == [{"run": RUN, "attempt": 1, "index": -1}]


def test_one_instance_of_a_mapped_task_is_meant(cluster: dict[str, Any]) -> None:
    cluster["airflow"] = FakeAirflow([[task(map_index=0), task(map_index=1)]])
    cluster["pods"] = [pod("train-0", index="0", phase="Running")]
    assert logs("--index", "0") == ["pod train-0 says", "more"]
    assert logs("--index", "1") == ["airflow says"]
    with pytest.raises(Fault, match="one of 0, 1"):
        logs()


def test_following_prints_each_line_once_until_the_task_is_over(cluster: dict[str, Any]) -> None:
    seen = [["a"], ["a", "b"], ["a", "late", "b", "b"]]
    states = [[task()], [task()], [task(state="success")]]
    cluster["airflow"] = FakeAirflow([[task()], *states], seen)
    cluster["pods"] = [pod("train-1")]
    assert logs("--follow") == ["a", "b", "late", "b"]


def test_following_goes_on_with_the_next_try(cluster: dict[str, Any]) -> None:
    states = [[task(state="up_for_retry")], [task(try_number=2, state="failed")]]
    cluster["airflow"] = FakeAirflow([[task()], *states], [["first try"], ["second try"]])
    assert logs("--follow") == ["first try", "second try"]
    assert [one["attempt"] for one in cluster["airflow"].asked] == [1, 2]


@pytest.mark.parametrize("phase", ["Running", "Succeeded"])
def test_while_airflow_is_away_the_newest_pod_is_read(cluster: dict[str, Any], phase: str) -> None:
    cluster["airflow"] = None
    cluster["pods"] = [pod("train-1", attempt=1), pod("train-2", attempt=2, phase=phase), pod("x", phase="Pending")]
    assert logs()[0] == "pod train-2 says"
    assert logs("--try", "1")[0] == "pod train-1 says"


def test_without_airflow_and_without_a_pod_the_fault_is_airflows(cluster: dict[str, Any]) -> None:
    cluster["airflow"] = None
    with pytest.raises(Fault, match="no way to"):
        logs()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("never", "train_model"), "has never run"),
        (("none", "train_model"), "knows no pipeline 'none'; want one of never, petrol"),
        (("petrol", "trian"), "want one of train_model"),
    ],
)
def test_what_is_not_there_is_named_and_no_pod_is_guessed(
    cluster: dict[str, Any], words: tuple[str, str], told: str
) -> None:
    cluster["pods"] = [pod("train-1")]
    with pytest.raises(Fault, match=told):
        CliRunner().invoke(app, ["logs", *words], catch_exceptions=False)
