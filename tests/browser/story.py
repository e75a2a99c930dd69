"""A day of a small team in the ledger, told through the ledger's own calls with its clock put back.

An hourly pipeline that trains when something has changed, weather every ten minutes that fails once, two runs of
the same parameter set by hand, and one run that waits for another. It is what the screenshots of the docs show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.ledger.world import Clock, Stores
from tidegate.ledger import Claim, Hit, Key, Ledger, Outcome, Output, Request, State, Task, key_of

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGES = {"train_model": "6f1d20c4b9aa", "fetch_weather": "0b5c7f3de812"}
SHOWN = "manual__once_more"
"""The run of `petrol` that Airflow knows as well: its training was skipped."""
TREES = {0: 100, 3: 150, 6: 200, 9: 250, 12: 300, 16: 400, 20: 350}
"""Trees in the forest from an hour on; a change is a training."""
HOURS = 24
TOO_MANY = 14
"""The hour of a run by hand with so many trees that the first try needs more memory than it has."""


@dataclass
class Story:
    """Tells what happened, in the order of time."""

    address: str
    stores: Stores = field(default_factory=Stores)
    clock: Clock = field(default_factory=Clock)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    events: list[tuple[datetime, Callable[[], None]]] = field(default_factory=list)

    def tell(self) -> None:
        """Write all of it."""
        self.ledger = Ledger(self.address, probe=self.stores, clock=self.clock)
        self.petrol()
        self.weather()
        self.by_hand()
        self.people()
        for moment, happens in sorted(self.events, key=lambda event: event[0]):
            self.clock.ahead = moment - datetime.now(UTC)
            happens()
        self.ledger.shut()

    def at(self, moment: datetime, task: Task, key: Key, outcome: Outcome, *, took: float = 0) -> None:
        """A try at that time; what it did took so many seconds, if it had to."""
        self.events.append((moment, lambda: self.tried(moment, task, key, outcome, took)))

    def tried(self, moment: datetime, task: Task, key: Key, outcome: Outcome, took: float) -> None:
        pod = {"pod": f"{task.task_id.replace('_', '-')}-{key.digest[:8]}", "node": "worker-2"}
        claim = self.ledger.begin(Request(task=task, key=key, output_path=f"s3://tidegate/runs/{task.pipeline}"))
        if isinstance(claim, Claim) and outcome.state is not State.RUNNING:
            self.clock.ahead = moment + timedelta(seconds=took) - datetime.now(UTC)
            self.ledger.close(claim, replace(outcome, **pod))
        else:
            assert isinstance(claim, Claim | Hit) or outcome.state is State.RUNNING, claim

    def wrote(self, name: str, key: Key, **more: Any) -> Outcome:
        """A success with one object."""
        url = f"s3://tidegate/runs/{key.parts['step']}/{key.digest[:12]}/{name}"
        known = self.stores.objects.get(url)
        output = self.stores.put(url, key.digest.encode()) if known is None else Output(name=name, url=url, size=64)
        return Outcome(state=State.SUCCEEDED, outputs=(output,), **more)

    def petrol(self) -> None:
        """Every hour: a training where the number of trees has changed, and the publishing."""
        begin = self.now - timedelta(hours=HOURS, minutes=5)
        for hour in range(HOURS + 1):
            moment = begin + timedelta(hours=hour)
            trees = TREES[max(since for since in TREES if since <= hour)]
            run_id = SHOWN if hour == HOURS else f"scheduled__{moment:%Y-%m-%dT%H}:00:00+00:00"
            self.trained(moment, Task(pipeline="petrol", run_id=run_id, task_id="train_model"), trees)
            self.published(moment + timedelta(seconds=50), run_id, trees)
        task = Task(pipeline="petrol", run_id="manual__too_many_trees", task_id="train_model")
        key, moment = self.forest(9000), begin + timedelta(hours=TOO_MANY, minutes=21)
        lost = Outcome(
            state=State.FAILED,
            exit_reason="out_of_memory",
            message="the container used more memory than its limit (exit 137, OOMKilled)",
        )
        self.at(moment, task, key, lost, took=41)

    def forest(self, trees: int) -> Key:
        params = {"n_estimators": trees, "random_state": 0, "target": "Petrol_Consumption", "test_size": 0.2}
        image = f"registry.example/tidegate/train_model:{IMAGES['train_model']}"
        return key_of(step="train_model", image=image, params=params, inputs={"data": {"etag": "9e107d9d372bb682"}})

    def trained(self, moment: datetime, task: Task, trees: int) -> None:
        key, r2 = self.forest(trees), 0.62 + 0.2 * (1 - math.exp(-trees / 120)) - 0.0002 * max(0, trees - 300)
        metrics = {"mae": 44.3 + (1 - r2) * 20, "mse": 4800 * (1.6 - r2), "r2": r2, "rmse": (4800 * (1.6 - r2)) ** 0.5}
        used = {"peak_memory_bytes": 171_000_000 + 90_000 * trees, "cpu_seconds": 9.0 + trees / 20}
        told = {"metrics": metrics, "summary": f"{trees} trees on 48 rows: mae {metrics['mae']:.4g}, r2 {r2:.4g}"}
        self.at(moment, task, key, self.wrote("model", key, **told, **used), took=31 + trees / 14)

    def published(self, moment: datetime, run_id: str, trees: int) -> None:
        key = key_of(
            step="upload_model",
            image=f"registry.example/tidegate/upload_model:{IMAGES['train_model']}",
            inputs={"model": {"sha256": self.forest(trees).digest}},
            keyed_by_time="hour",
            when=moment,
            output="models/petrol",
        )
        told = {"summary": "published, latest.json points to it", "peak_memory_bytes": 150_000_000, "cpu_seconds": 4.2}
        self.at(moment, Task(pipeline="petrol", run_id=run_id, task_id="upload_model"), key,
                self.wrote("model", key, **told), took=9)  # fmt: skip

    def weather(self) -> None:
        """Every ten minutes of the last two hours; once the service had a bad minute."""
        last = self.now.replace(minute=self.now.minute // 10 * 10, second=2)
        for number in range(12):
            moment = last - timedelta(minutes=110 - 10 * number)
            run_id = f"scheduled__{moment:%Y-%m-%dT%H:%M}:00+00:00"
            fetch = Task(pipeline="weather", run_id=run_id, task_id="fetch_weather")
            image = f"registry.example/tidegate/fetch_weather:{IMAGES['fetch_weather']}"
            when = {"keyed_by_time": "minute", "when": moment, "output": "lake://raw/weather_data"}
            key = key_of(step="fetch_weather", image=image, params={"units": "metric"}, **when)
            if number == 10:
                away = "api.openweathermap.org answered 503 five times; the run before it is what the lake has"
                late = Outcome(state=State.FAILED, exit_reason="try_later", message=away)
                self.at(moment, fetch, key, late, took=22)
                fetch, moment = replace(fetch, try_number=2), moment + timedelta(seconds=142)
            degrees = {"Zürich": 6 + number / 5, "Oslo": -1.5 + number / 8}
            told = {"summary": "weather of 5 cities, written", "peak_memory_bytes": 61_000_000, "cpu_seconds": 0.7}
            self.at(moment, fetch, key, self.wrote("weather", key, metrics=degrees, **told), took=3.4)

    def by_hand(self) -> None:
        """Two runs of one parameter set, and a third with other parameters of the last task."""
        begin = self.now - timedelta(minutes=56)
        runs = [("ml_training_dag", "training_task_1", "p2"), ("ml_training_dag", "training_task_1", "p2b"),
                ("ml_testing_dag", "testing_task_1", "p3")]  # fmt: skip
        for number, (pipeline, last, other) in enumerate(runs):
            for place, task_id in enumerate(("common_task_1", "common_task_2", last)):
                given = {"parameter_1": "winter"} | ({"parameter_2": other} if place == 2 else {})
                key = key_of(
                    step="run_command",
                    image="registry.example/tidegate/run_command:41aa90bd77e3",
                    params={"command": ["sh", "-ec", task_id], "parameters": given},
                )
                task = Task(pipeline=pipeline, run_id=f"manual__{number + 1}", task_id=task_id)
                done = self.wrote("features", key, summary="sh wrote 1 file(s)", cpu_seconds=0.1)
                self.at(begin + timedelta(minutes=20 * number + place), task, key, done, took=38)

    def people(self) -> None:
        """One run is under way, the same work of another waits for it."""
        key = key_of(step="dedup_people", image="registry.example/tidegate/dedup_people:c0ffee12ab90",
                     params={"accept_at": 0.97, "chunk_rows": 1000}, inputs={"people": {"etag": "77aa01"}})  # fmt: skip
        for number, seconds in enumerate((55, 20)):
            task = Task(pipeline="people", run_id=f"manual__people_{number + 1}", task_id="dedup_people")
            moment = self.now - timedelta(seconds=seconds)
            self.at(moment, task, key, Outcome(state=State.RUNNING))
