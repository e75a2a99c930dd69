"""What the kill matrix judges by: the parts of it that need no cluster."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cluster import counted, kills, timeline
from tests.soak import cells
from tidegate.cli.fault import Fault

START = datetime(2026, 1, 1, tzinfo=UTC)
TASKS = """\
TASK                PID      STATUS
0a1b                4242     RUNNING
ffff                17       STOPPED
"""


def test_a_container_is_found_by_its_id_if_it_runs() -> None:
    assert kills.pids(TASKS) == {"0a1b": 4242}


def pod(*, phase: str = "Pending", state: str = "", bound: bool = False) -> dict[str, Any]:
    status: dict[str, Any] = {"phase": phase, "conditions": [{"type": "PodScheduled", "status": str(bound)}]}
    if state:
        status["containerStatuses"] = [{"state": {state: {}}}]
    return {"metadata": {"name": "p", "uid": "u"}, "status": status}


@pytest.mark.parametrize(
    ("state", "kind", "wanted"),
    [
        (pod(), "ADDED", {"made"}),
        (pod(bound=True, state="waiting"), "MODIFIED", {"made", "scheduled"}),
        (pod(bound=True, phase="Running", state="running"), "MODIFIED", {"made", "scheduled", "running"}),
        (pod(bound=True, phase="Running", state="terminated"), "MODIFIED", {"made", "scheduled", "ended"}),
        (pod(phase="Failed"), "MODIFIED", {"made", "ended"}),
        (pod(), "DELETED", {"made", "gone"}),
    ],
)
def test_a_pods_state_tells_how_far_it_has_come(state: dict[str, Any], kind: str, wanted: set[str]) -> None:
    assert timeline.stages(state, kind=kind) == wanted


@pytest.mark.parametrize(("state", "good"), [({"exitCode": 0}, True), ({"exitCode": 1}, False), (None, False)])
def test_a_pod_has_succeeded_by_its_exit_code(state: dict[str, Any] | None, good: bool) -> None:
    ended = pod(phase="Running", state="terminated" if state else "waiting")
    ended["status"]["containerStatuses"][0]["state"]["terminated"] = state or {}
    assert timeline.Life(ended).succeeded is good
    assert timeline.Life(pod()).succeeded is False


class Script:
    """Answers like kubectl: each list and each watch is the next of those given."""

    def __init__(self, *rounds: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
        self._rounds = iter(rounds)
        self._events: list[dict[str, Any]] = []

    def text(self, *_: str) -> str:
        pods, self._events = next(self._rounds, ([], []))
        return json.dumps({"metadata": {"resourceVersion": "1"}, "items": pods})

    def command(self, *_: str) -> list[str]:
        return ["printf", "%s\n", *map(json.dumps, self._events)]


def named(name: str, **state: Any) -> dict[str, Any]:
    return pod(**state) | {"metadata": {"name": name, "uid": name}}


def test_a_timeline_goes_on_over_a_watch_that_was_cut() -> None:
    first = ([named("a")], [{"type": "MODIFIED", "object": named("a", bound=True, phase="Running", state="running")}])
    gone = {"code": 410, "message": "too old"}
    second = ([named("a", phase="Succeeded"), named("b")], [{"type": "ERROR", "object": gone}])
    third = ([named("c", bound=True)], [{"type": "DELETED", "object": named("c")}])
    with timeline.Timeline(Script(first, second, third), "n", "x=y") as found:  # type: ignore[arg-type]
        found.until(lambda lives: len(lives) == 3 and "gone" in lives[2].times, seconds=10, what="the script's end")
    lives = {one.name: one for one in found.lives()}
    assert set(lives["a"].times) == set(timeline.STAGES)
    assert [lives["a"].times[stage] for stage in timeline.STAGES] == sorted(lives["a"].times.values())
    assert set(lives["b"].times) == {"made", "gone"}
    assert set(lives["c"].times) == {"made", "scheduled", "gone"}


def test_a_timeline_that_waits_in_vain_says_what_the_pods_do() -> None:
    with (
        timeline.Timeline(Script(([named("a", phase="Pending")], [])), "n", "x=y") as found,  # type: ignore[arg-type]
        pytest.raises(Fault, match=r"waited 0 s for the moon; now: \{'a': 'Pending'\}"),
    ):
        found.until(lambda _: False, seconds=0, what="the moon")


def ended(*codes: int) -> list[timeline.Life]:
    """Pods that ended so, one after the other."""
    lives = []
    for number, code in enumerate(codes):
        state = named(f"p{number}", state="terminated")
        state["status"]["containerStatuses"][0]["state"]["terminated"] = {"exitCode": code}
        times = {"running": START + timedelta(seconds=2 * number), "ended": START + timedelta(seconds=2 * number + 1)}
        lives.append(timeline.Life(state, times))
    return lives


def test_a_step_has_one_pod_and_another_only_for_a_store_that_was_away() -> None:
    counted.assert_one_pod(ended(0))
    counted.assert_one_pod(ended(75, 0))
    for codes in ((1,), (75,), (137, 0), (0, 0)):
        with pytest.raises(AssertionError):
            counted.assert_one_pod(ended(*codes))
    both = ended(75, 0)
    both[0].times["ended"] = START + timedelta(seconds=9)
    with pytest.raises(AssertionError):
        counted.assert_one_pod(both)


def life(**seconds: float) -> timeline.Life:
    return timeline.Life(pod(), {stage: START + timedelta(seconds=x) for stage, x in seconds.items()})


@pytest.mark.parametrize(
    ("lives", "most"),
    [
        ([life(made=0, running=1, ended=5), life(made=4, running=5, ended=9)], 1),
        ([life(made=0, running=1, ended=5), life(made=2, running=3, ended=9)], 2),
        ([life(made=0, running=1, gone=5), life(made=2, running=6)], 1),
        ([life(made=0, running=1), life(made=2, running=6)], 2),
        ([life(made=0)], 0),
    ],
)
def test_pods_that_ran_at_once_are_counted(lives: list[timeline.Life], most: int) -> None:
    assert counted.at_once(lives) == most


def test_a_log_that_lacks_lines_is_told_which() -> None:
    log = ["2026 info line 1 of 4", "line 2 of 4", "line 2 of 4", "line 4 of 4", "line 3 of 9", "hello: done"]
    assert counted.missing_lines(log, wanted=4) == [3]
    assert counted.missing_lines([], wanted=2) == [1, 2]


class Versions:
    """A store that answers one question, in two pages."""

    def get_paginator(self, name: str) -> Versions:
        assert name == "list_object_versions"
        return self

    def paginate(self, **query: str) -> list[dict[str, Any]]:
        key = f"{query['Prefix']}first/greeting.txt"
        return [{"Versions": [{"Key": key}]}, {"Versions": [{"Key": key}], "DeleteMarkers": [{"Key": key + "x"}]}, {}]


def test_a_second_version_of_an_object_is_a_second_effect() -> None:
    dag = counted.Counted("d", lines=1, seconds=1)
    assert counted.versions(Versions(), dag, "r") == Counter({"first/greeting.txt": 2, "first/greeting.txtx": 1})
    with pytest.raises(AssertionError):
        counted.assert_one_effect(Versions(), dag, "r")


def test_the_dag_is_python_and_its_templates_are_left_for_airflow() -> None:
    text = counted.Counted("killed", lines=7, seconds=2.5).text
    compile(text, "killed", "exec")
    assert 'output="kills/killed/{{ run_id }}/first"' in text
    assert 'params={"lines": 7, "seconds": 2.5}' in text


def test_the_matrix_has_every_part_at_every_moment_once() -> None:
    names = [str(cell) for cell in cells.CELLS]
    assert len(set(names)) == len(names) == len(cells.VICTIMS) * len(cells.MOMENTS)
    killed = {cell.victim.component for cell in cells.CELLS}
    assert killed == {*kills.COMPONENTS, cells.POD}
    signals = {(one.triggerers, one.signal) for one in cells.VICTIMS if one.component == "triggerer"}
    assert signals == {(1, "TERM"), (1, "KILL"), (2, "TERM"), (2, "KILL")}


def test_the_report_has_a_line_for_what_did_not_run() -> None:
    first, second = map(str, cells.CELLS[:2])
    ran = [cells.Outcome(first, "today", "ok", 31.6, "1 + 1", "1 + 1")]
    ran += [cells.Outcome(second, "today", "a | b", 9, "2 + 1", "1 + 1")]
    said = cells.text(ran)
    assert f"1 of {len(cells.CELLS)} ok, {len(cells.CELLS) - 2} not run." in said
    assert f"| {first} | ok | 32 | 1 + 1 | 1 + 1 | today |" in said
    assert f"| {second} | a \\| b | 9 |" in said
    assert f"| {cells.CELLS[2]} | not run |" in said
