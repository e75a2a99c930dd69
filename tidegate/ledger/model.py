"""The ledger's words: a task's try, a key, a row, and the four answers to "must this step run?".

Pure data, no I/O. All times are UTC with a time zone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from tidegate.ledger.canonical import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

LEASE = timedelta(seconds=90)
"""How long an attempt counts as alive without a heartbeat: longer than a minute's outage of the database."""

HEARTBEAT = timedelta(seconds=15)
"""How often a holder renews its lease."""


class State(StrEnum):
    """Where a row stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INVALIDATED = "invalidated"


class Proof(StrEnum):
    """What must hold of a recorded result before it is used again, the strictest first."""

    CONTENT = "content"
    """Every output is read, and has the recorded sha256."""
    VERSION = "version"
    """Every output has the recorded etag; or, with another one, the recorded size and sha256."""
    SIZE = "size"
    """Every output exists with the recorded size."""
    EXISTS = "exists"
    """Every output exists."""
    RECORD = "record"
    """The record alone counts, no store is asked: the only one that a step without outputs can have."""


class Reason(StrEnum):
    """Why a step ran although there is a ledger; stored with its row."""

    NEW = "new"
    FORCED = "forced"
    FAILED_BEFORE = "failed_before"
    INVALIDATED = "invalidated"
    EXPIRED = "expired"
    NO_OUTPUTS = "no_outputs"
    NOT_REUSABLE = "not_reusable"
    NOT_KEPT = "not_kept"
    OUTPUT_CHANGED = "output_changed"
    LEASE_LAPSED = "lease_lapsed"
    RELAUNCHED = "relaunched"
    LEDGER_DOWN = "ledger_down"


TAKEN_OVER, SUPERSEDED, RELAUNCHED = "taken_over", "superseded", "relaunched"
"""Exit reasons of attempts that another one replaced."""

DUPLICATE = "duplicate"
"""Exit reason of a result beside another of the same work: the ledger was away, so nobody could wait for anybody."""

REPLACED = frozenset({TAKEN_OVER, SUPERSEDED, RELAUNCHED})
"""Such an attempt's pod may still live; the attempt after it removes the pod before it starts."""


NOT_KEPT = "result_not_kept"
"""Exit reason of an attempt that succeeded, but whose result is too long for a row: it is never used again."""

EXTRA_LIMIT = 4096
"""Bytes of JSON that a row keeps of a result beside outputs, metrics and summary: what a pod's last words may have."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One try of one task instance."""

    pipeline: str
    """The DAG's id."""
    run_id: str
    task_id: str
    map_index: int = -1
    try_number: int = 1

    @property
    def holder(self) -> str:
        """Who holds a lease: the try, not the process, so that a restarted triggerer goes on with its own."""
        return digest([self.pipeline, self.run_id, self.task_id, self.map_index, self.try_number])


@dataclass(frozen=True, kw_only=True)
class Output:
    """One object a step wrote, as its result tells."""

    name: str
    url: str
    size: int
    sha256: str = ""
    etag: str = ""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a store says of an object now."""

    size: int
    etag: str = ""
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Key:
    """What identifies a step's work: the sha256 and all that went into it."""

    digest: str
    parts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One attempt to do the work of a key. `id` is its fencing number: it grows, and is never used twice."""

    id: int
    key: str
    attempt: int
    pipeline: str
    step: str
    params: Mapping[str, Any]
    image: str
    inputs: Mapping[str, Any]
    parts: Mapping[str, Any]
    state: State
    holder: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    datetime_started: datetime
    datetime_finished: datetime | None = None
    lease_expires: datetime | None = None
    outputs: tuple[Output, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    summary: str = ""
    output_path: str = ""
    reason: str = ""
    detail: str = ""
    pod: str = ""
    node: str = ""
    exit_reason: str = ""
    message: str = ""
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    log_url: str = ""
    ttl_seconds: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What the result holds beside outputs, metrics and summary, such as a `value` of its own."""

    @property
    def seconds(self) -> float | None:
        """How long it ran; None while it does."""
        return (self.datetime_finished - self.datetime_started).total_seconds() if self.datetime_finished else None


class Verify(Protocol):
    """A step's own proof that what it did still holds, where outputs cannot tell."""

    def __call__(self, row: Row, /) -> str:
        """Empty where it holds, else what does not; any exception counts as not."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One task's try asks whether its work must be done."""

    task: Task
    key: Key
    output_path: str = ""
    """The prefix it would write under."""
    run_params: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the whole run; shown, and read by the views, but no part of the key."""
    log_url: str = ""
    """Where people read what the try says."""
    ttl: timedelta | None = None
    """A result older than this is none; None for ever."""
    force: bool = False
    reusable: bool = True
    """False: run whatever was recorded."""
    proof: Proof = Proof.VERSION
    verify: Verify | None = None
    lease: timedelta = LEASE


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an attempt ended, with all that is known of it."""

    state: State
    outputs: tuple[Output, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    summary: str = ""
    pod: str = ""
    node: str = ""
    exit_reason: str = ""
    message: str = ""
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    log_url: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Hit:
    """Nothing to do: this row's result holds, checked just now."""

    row: Row


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Run, under this row's lease. First remove the pods of `replaced` and wait until they are gone."""

    row: Row
    request: Request
    replaced: tuple[Row, ...] = ()
    resumed: bool = False
    """The same try had it before: its pod may exist, attach to it."""

    @property
    def fence(self) -> int:
        """The fencing number: part of the pod's name, and of every write."""
        return self.row.id


@dataclass(frozen=True, kw_only=True)
class Wait:
    """The same work is in flight under another's lease; ask again after `seconds`."""

    row: Row
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Ended:
    """This very try is over already; its result or failure is the row's."""

    row: Row


@dataclass(frozen=True, kw_only=True)
class Blind:
    """The ledger is down: run without a lease; the row is written when it is back."""

    request: Request
    started: datetime
    cause: str


Verdict: TypeAlias = Hit | Claim | Wait | Ended
"""What the ledger answers to a request."""
