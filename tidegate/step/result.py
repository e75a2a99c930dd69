"""What a step hands back: outputs, metrics, one line and what it used, in one write, as the last thing it does.

Writes: the file that `$TIDEGATE_RESULT` names (default `/dev/termination-log`). Kubernetes keeps 4096 bytes of that
one; a longer result lies in `<output>/_RESULT.json` and the message is `{"result_url", "sha256"}`.
Again: the same result makes the same bytes, but for what it used.
"""

from __future__ import annotations

import json
import math
import os
import stat
import uuid
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.step.errors import StepError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegate.step.stores.protocol import Store
    from tidegate.step.urls import Prefix
    from tidegate.step.usage import Usage

TERMINATION_LOG = "/dev/termination-log"
"""Where Kubernetes looks for a container's last words."""

TERMINATION_LIMIT = 4096
"""Bytes of it that Kubernetes keeps, https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/"""


@dataclass(frozen=True, kw_only=True)
class Output:
    """One object the step wrote."""

    name: str
    """What a later step asks for: `train.output["model"]`."""
    url: str
    """Where it lies."""
    size: int
    """Bytes."""
    sha256: str
    """Of its content, hexadecimal."""
    etag: str
    """The store's own mark of this version, without quotes."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """All that is told of a step that succeeded."""

    outputs: tuple[Output, ...] = ()
    """In the order in which people should read them."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Finite numbers by name."""
    summary: str = ""
    """One line for people."""
    value: Any = None
    """Any JSON: what later tasks get as the step's return value, instead of all of the above. None for that."""

    def __post_init__(self) -> None:
        bad = [name for name, value in self.metrics.items() if not math.isfinite(value)]
        if bad:
            raise StepError(f"metrics {', '.join(bad)} are not finite numbers, which JSON cannot hold")
        if "\n" in self.summary:
            raise StepError("a result's summary is one line")

    def to_json(self, *, usage: Usage | None = None) -> bytes:
        """UTF-8 JSON on one line."""
        body = {"outputs": [asdict(output) for output in self.outputs], "metrics": dict(self.metrics)}
        own = {} if self.value is None else {"value": self.value}
        used = {"usage": asdict(usage)} if usage else {}
        return json.dumps({**body, "summary": self.summary, **own, **used}, ensure_ascii=False).encode()


def write(result: Result, path: str, *, store: Store, prefix: Prefix | None, usage: Usage | None = None) -> None:
    """Write `result` to `path`: the termination log gets a pointer where it is too small."""
    body = result.to_json(usage=usage)
    if path == TERMINATION_LOG and len(body) > TERMINATION_LIMIT:
        body = _pointer(body, store=store, prefix=prefix)
    _write_once(Path(path), body)


def forget(path: str) -> None:
    """Remove an earlier result, so that a step which fails leaves none."""
    if path != TERMINATION_LOG and _is_plain(Path(path)):
        Path(path).unlink()


def _pointer(body: bytes, *, store: Store, prefix: Prefix | None) -> bytes:
    if prefix is None:
        raise StepError(f"the result has {len(body)} bytes, more than {TERMINATION_LIMIT}; set $TIDEGATE_OUTPUT")
    url = prefix / "_RESULT.json"
    store.put(url, body)
    return json.dumps({"result_url": url, "sha256": sha256(body).hexdigest()}).encode()


def _write_once(path: Path, body: bytes) -> None:
    """A plain file changes by a rename; the termination log, a mount, takes one write."""
    if str(path) == TERMINATION_LOG or (path.exists() and not _is_plain(path)):
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(descriptor, body)
        finally:
            os.close(descriptor)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    partial.write_bytes(body)
    partial.replace(path)


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False
