"""All that there is: resources by their path, jobs with the states they go through, operations that take a while."""

from __future__ import annotations

import copy
import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from entra import Entra

    from azure_ml_api.storage import Storage

STATES = ("NotStarted", "Queued", "Running", "Completed")
ENDS = frozenset({"Completed", "Failed", "Canceled", "NotResponding", "Paused"})
CANCELLED_WITHIN = 0.3
"""Seconds that a job takes to end which was cancelled."""
CHANGEABLE = frozenset({"description", "tags", "displayName", "properties", "isArchived", "services", "status"})


class Refused(Exception):  # noqa: N818 (what it says)
    """An answer other than success."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass
class Run:
    """Where a job is on its way."""

    states: list[str]
    seconds: float = 0
    error: str = ""
    at: int = 0
    since: float = field(default_factory=time.monotonic)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    looked: bool = False

    @property
    def state(self) -> str:
        """The present state; where states last for a time, by the clock."""
        while self.seconds and self.at < len(self.states) - 1 and time.monotonic() - self.since >= self.seconds:
            self.at, self.since = self.at + 1, self.since + self.seconds
        return self.states[self.at]

    def look(self) -> str:
        """The state, after a step for this look where no time says when."""
        if self.looked and not self.seconds:
            self.at = min(self.at + 1, len(self.states) - 1)
        self.looked = True
        return self.state

    def cancel(self) -> None:
        """Go to the end by way of CancelRequested, unless it has ended."""
        if self.state not in ENDS:
            self.states, self.at, self.since = ["CancelRequested", "Canceled"], 0, time.monotonic()
            self.seconds = CANCELLED_WITHIN


@dataclass
class World:
    """Everything; safe among threads by its lock."""

    url: str
    entra: Entra
    storage: Storage
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    operations: list[dict[str, Any]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def forget(self) -> None:
        """Nothing is there any more, and nothing was asked."""
        with self.lock:
            self.resources.clear()
            self.operations.clear()
            self.forget_calls()

    def forget_calls(self) -> None:
        """No job is there any more, and nothing was asked."""
        with self.lock:
            for path in self.runs:
                self.resources.pop(path, None)
            self.runs.clear()
            self.asked.clear()
            self.entra.signed_in.clear()

    def get(self, path: str) -> dict[str, Any]:
        """A resource; Refused where there is none."""
        found = self.resources.get(path.lower())
        if found is None:
            raise Refused(404, "ResourceNotFound", f"The resource {path.rpartition('workspaces/')[2]} was not found.")
        return copy.deepcopy(found)

    def below(self, path: str) -> list[dict[str, Any]]:
        """Resources one level below a path, in the order they were made."""
        start = f"{path.lower()}/"
        names = [key for key in self.resources if key.startswith(start) and "/" not in key.removeprefix(start)]
        return [copy.deepcopy(self.resources[name]) for name in names]

    def put(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        """Make or replace a resource."""
        stored = {**document, "id": path, "name": path.rpartition("/")[2]}
        stored.setdefault("properties", {})
        self.resources[path.lower()] = stored
        return copy.deepcopy(stored)

    def drop(self, path: str) -> None:
        """Remove a resource, and what lies below it; Refused where there is none."""
        self.get(path)
        for key in [key for key in self.resources if key == path.lower() or key.startswith(f"{path.lower()}/")]:
            del self.resources[key]

    def operation(self, *, fails: bool = False, looks: int = 1) -> str:
        """The URL of an operation that is over after some looks."""
        self.operations.append({"looks": looks, "fails": fails})
        return f"{self.url}/operations/{len(self.operations) - 1}"

    def begin(self, path: str, tags: dict[str, str]) -> Run:
        """The run of a new job."""
        states = [one.strip() for one in tags.get("fake_states", "").split(",") if one.strip()] or list(STATES)
        run = Run(states, seconds=float(tags.get("fake_seconds", 0)), error=tags.get("fake_error", ""))
        self.runs[path.lower()] = run
        return run

    def states(self) -> dict[str, str]:
        """The present state of every job, by its path."""
        with self.lock:
            return {path: run.state for path, run in self.runs.items()}

    def all(self) -> dict[str, dict[str, Any]]:
        """Every resource, by its path in small letters."""
        with self.lock:
            return copy.deepcopy(self.resources)

    def run_named(self, name: str) -> tuple[str, Run]:
        """A run by the name of its job, in whatever workspace."""
        for path, run in self.runs.items():
            if path.endswith(f"/jobs/{name.lower()}"):
                return path, run
        raise Refused(404, "NotFound", f"Run {name} was not found.")


def definition(document: dict[str, Any]) -> str:
    """A digest of what Azure lets nobody change of a job."""
    kept = {name: value for name, value in document.get("properties", {}).items() if name not in CHANGEABLE}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
