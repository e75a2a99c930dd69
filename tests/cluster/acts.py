"""All that is played on the cluster for the tests, side by side as far as it does not disturb each other.

First, while the tests' DAGs are pushed and read, the ledger's outage: it would make the others' steps run. Then the
classes of failure, some of which are told by how long a pod's start takes, so that little else starts then. Then the
rest. Each act is a Future; the tests wait for theirs and look at what came of it. The platform is whole all the time.

Reads: Airflow's API, the pods, the ledger. Writes: runs, objects; a push with DAGs of our own and a petrol that runs
every minute, and in the end one with the true petrol. Again: every call has parameters and dates of its own.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, TypeVar

from tests.cluster import (
    azureml,
    bad_input,
    counted,
    effects,
    failures,
    people,
    scenes,
    security,
    shapes,
    triggers,
    weather,
)
from tests.cluster.pushed import push
from tidegate.cli import runs
from tidegate.cluster.project import ROOT
from tidegate.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.petrol import S3

T = TypeVar("T")

KILLED = counted.Counted("killed_under", lines=45, seconds=45)
"""Of which runs are under way when the platform's parts are killed."""
DAG_IDS = (
    *(effects.RACE, effects.FORCE, bad_input.DAG_ID, failures.DAG_ID, KILLED.dag_id, azureml.DAG_ID),
    security.DAG_ID,
    *shapes.DAG_IDS,
)
FILE = "tests_on_the_cluster.py"
TEXTS = (effects.TEXT, bad_input.dag_text(), failures.dag_text(), KILLED.text, azureml.TEXT, security.TEXT, shapes.TEXT)
TEXT = "\n\n".join(TEXTS)
"""One file: each costs the DAG processor seconds to read."""
PROBE_FILE, PROBE = "pushed.py", f"pushed_{time.time_ns()}"
PROBE_TEXT = f"""\
from airflow.sdk import DAG

from tidegate.airflow import step

with DAG("{PROBE}", schedule=None, is_paused_upon_creation=True):
    step("hello")
"""
SHOWN_SECONDS = 240
TIMES = ROOT / "build" / "times" / "acts.json"
"""How long each act took, from when it could begin."""


class Acts:
    """What is played; it begins at once."""

    def __init__(self, at: scenes.At, store: S3, threads: ThreadPoolExecutor) -> None:
        self._threads, self._all, self._times = threads, list[Future[Any]](), Progress()
        self.pushed_at = time.monotonic()
        push(at.kubectl, {FILE: TEXT, PROBE_FILE: PROBE_TEXT, triggers.FILE: triggers.often()})
        self.outage = self._act("outage", lambda: scenes.play_outage(at))
        self.probe = self._act("probe", lambda: self._seconds_until_shown(at))
        self.shown = self._act("shown", lambda: _shown(at), after=[self.probe])
        files = self._act("files", lambda: bad_input.put(store), after=[self.probe])
        calm: list[Future[Any]] = [self.shown, self.outage]
        begun = self._act("failures begun", lambda: failures.begin(at.kubectl, at.api), after=calm)
        self.failures = self._act("failures", lambda: _failed(at, begun.result()))
        self.scheduled = self._act("scheduled", lambda: triggers.by_the_schedule(at.api), after=calm)
        self.weather = self._act("weather", lambda: weather.play_twice(at.kubectl, at.api), after=calm)
        self.azureml = self._act("azureml", lambda: azureml.play(at), after=[begun])
        self.people = self._act("people", lambda: people.play(at.kubectl, at.api, store), after=[begun])
        self._triggers(at, after=[begun])
        self._ledger(at, after=[begun])
        self._shapes(at, after=[begun])
        self.security = self._act("security", lambda: security.play(at, store), after=[begun])
        self.bad_input = self._act(
            "bad_input", lambda: _failed(at, at.start(bad_input.DAG_ID, {})), after=[begun, files]
        )
        played = [*self._all]
        self.over = self._act("over", lambda: self._restore(at), after=played)

    def _triggers(self, at: scenes.At, *, after: list[Future[Any]]) -> None:
        self.rest = self._act("rest", lambda: triggers.by_rest(at.api), after=after)
        self.form = self._act("form", lambda: triggers.by_the_form(at.kubectl, at.api), after=after)
        self.forced = self._act("forced", lambda: triggers.by_our_command_line(at.kubectl), after=after)
        self.airflows = self._act("airflows", lambda: triggers.by_airflows_command_line(at.kubectl), after=after)

    def _ledger(self, at: scenes.At, *, after: list[Future[Any]]) -> None:
        self.petrol = self._act("petrol", lambda: scenes.play_petrol(at), after=after)
        self.tables = self._act("tables", lambda: scenes.play_tables(at), after=after)
        self.race = self._act("race", lambda: scenes.play_race(at), after=after)
        self.force = self._act("force", lambda: scenes.play_force(at), after=after)

    def _shapes(self, at: scenes.At, *, after: list[Future[Any]]) -> None:
        self.shapes = self._act("shapes", lambda: shapes.play(at), after=after)
        self.cleared = self._act("cleared", lambda: shapes.play_cleared(at), after=after)
        self.marked = self._act("marked", lambda: shapes.play_marked(at), after=after)

    def _act(self, name: str, act: Callable[[], T], *, after: list[Future[Any]] | None = None) -> Future[T]:
        """Play once all that it comes after is over, however that ended."""

        def play() -> T:
            wait(after or [])
            with self._times.phase(f"act {name}"):
                return act()

        self._all.append(self._threads.submit(play))
        return self._all[-1]

    def _restore(self, at: scenes.At) -> None:
        """The true petrol again, and the probe gone."""
        self._times.write(TIMES)
        push(at.kubectl, {FILE: TEXT})
        source = (ROOT / "dags" / triggers.FILE).read_text()
        runs.wait_visible(at.api, triggers.FILE.removesuffix(".py"), source=source, seconds=SHOWN_SECONDS)

    def _seconds_until_shown(self, at: scenes.At) -> float:
        runs.wait_visible(at.api, PROBE, source=PROBE_TEXT, seconds=SHOWN_SECONDS)
        return time.monotonic() - self.pushed_at


def _shown(at: scenes.At) -> None:
    """Airflow knows all that was pushed; what waits for nothing is switched on."""
    runs.wait_visible(at.api, triggers.FILE.removesuffix(".py"), source=triggers.often(), seconds=SHOWN_SECONDS)
    for dag_id in DAG_IDS:
        runs.wait_visible(at.api, dag_id, source=TEXT, seconds=SHOWN_SECONDS)
        if dag_id != effects.RACE:
            at.api.unpause(dag_id)


def _failed(at: scenes.At, run: runs.Run) -> runs.Run:
    """The run, over, and failed as it has to."""
    assert at.end(run) == "failed"
    return run
