"""What the ledger is shown in tests: a store in memory, requests, and outcomes with outputs that exist."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, Any

from tidegate.ledger import Claim, Outcome, Output, Request, Seen, State, Task, key_of
from tidegate.ledger.transaction import database_time

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tidegate.ledger import Key, Ledger, Row

IMAGE = "registry.example/tidegate/train_model:0123456789ab"
TASK = Task(pipeline="petrol", run_id="scheduled__1", task_id="train_model")


class Stores:
    """Objects in memory; an etag is new with every write, as a store's is."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self._etags = count(1)
        self.down = False

    def put(self, url: str, content: bytes) -> Output:
        """Write, and tell what a step's result would."""
        self.objects[url] = (content, f"etag-{next(self._etags)}")
        return Output(
            name=url.rpartition("/")[2], url=url, size=len(content), sha256=_sha(content), etag=self.objects[url][1]
        )

    def seen(self, url: str) -> Seen | None:
        if self.down:
            raise ConnectionError("no route to the store")
        found = self.objects.get(url)
        return Seen(size=len(found[0]), etag=found[1]) if found else None

    def sha256(self, url: str) -> str:
        return _sha(self.objects[url][0])


class Clock:
    """The database's clock, put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self, connection: Connection) -> datetime:
        return database_time(connection) + self.ahead


def run(number: int, **changes: Any) -> Task:
    """The same task in another run."""
    return replace(TASK, run_id=f"scheduled__{number}", **changes)


def key(**changes: Any) -> Key:
    """A key as train_model has one."""
    parts: dict[str, Any] = {"step": "train_model", "image": IMAGE, "params": {"n_estimators": 200}}
    return key_of(**parts | changes)


def ask(number: int = 1, *, work: Key | None = None, **options: Any) -> Request:
    """A request of run `number`."""
    task = options.pop("task", None) or run(number)
    return Request(task=task, key=work or key(), output_path="s3://tidegate/runs/petrol", **options)


def done(stores: Stores, *names: str, content: bytes = b"model") -> Outcome:
    """A success that wrote these objects."""
    outputs = tuple(stores.put(f"s3://tidegate/runs/{name}", content) for name in names or ("model.pkl",))
    return Outcome(state=State.SUCCEEDED, outputs=outputs, metrics={"r2": 0.81}, summary="trained", pod="train-1")


def ran(ledger: Ledger, request: Request, outcome: Outcome) -> Row:
    """Do the work: claim, and close."""
    claim = ledger.begin(request)
    assert isinstance(claim, Claim), claim
    row = ledger.close(claim, outcome)
    assert row is not None
    return row


def failed(**options: Any) -> Outcome:
    return Outcome(state=State.FAILED, exit_reason=options.pop("exit_reason", "application_error"), **options)


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 21, hour, minute, tzinfo=UTC)


def _sha(content: bytes) -> str:
    return sha256(content).hexdigest()
