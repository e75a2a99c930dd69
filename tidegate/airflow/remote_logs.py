"""Logs of finished tasks in an object store, so that they outlive pods and volumes.

Reads: `AIRFLOW__TIDEGATE__LOGS_URL` (s3://bucket/prefix or abfss://filesystem@account/prefix; empty is none), and
credentials as `tidegate.step.stores` finds them, so a workload identity does. Writes: `<url>/<path of the log>`, whole.
Again: a log that grew replaces its older self; one that was begun anew on another pod goes behind what is there.

Airflow is told by `AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS=tidegate.airflow.remote_logs.LOGGING`, which the chart sets.
Its own handlers would need a provider's package for each cloud, and a connection.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow.config_templates.airflow_local_settings import DEFAULT_LOGGING_CONFIG
from airflow.configuration import conf

from tidegate.step.errors import NotFound, StepError
from tidegate.step.stores.router import Stores
from tidegate.step.urls import Prefix

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Iterator

    from tidegate.step.stores.protocol import Readable, Store

log = logging.getLogger(__name__)

LOGGING: Final = DEFAULT_LOGGING_CONFIG
"""What handlers and formats there are: Airflow's own."""

PIECE: Final = 1024 * 1024
"""Bytes that are in memory at a time."""

OF_TRIGGERER: Final = ".trigger."
"""In the name of a log that a triggerer wrote. Its loop does not wait for the store: many steps may end at once."""


class StoredLogs:
    """What Airflow calls a `RemoteLogStreamIO`: it uploads a log that is complete, and reads those of a task's try."""

    processors: Final = ()
    """Of log lines, while they are written: none."""

    def __init__(self, url: str, *, base: Path, store: Store | None = None) -> None:
        self._url = Prefix(url)
        self._base = base
        self._store = store or Stores()

    @cached_property
    def _beside(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(4, thread_name_prefix="logs")

    def upload(self, path: os.PathLike[str] | str, ti: object = None) -> None:  # noqa: ARG002 - Airflow's words
        """Store the log at `path`, relative to the folder of logs; what goes wrong is logged, and the file stays."""
        name = Path(path).as_posix()
        if OF_TRIGGERER in name:
            self._beside.submit(self._upload, name)
        else:
            self._upload(name)

    def _upload(self, name: str) -> None:
        local, url = self._base / name, self._url / name
        try:
            if local.is_file():
                self._write(local, url)
        except Exception:
            log.exception("%s was not stored; it stays in %s", name, self._base)

    def _write(self, local: Path, url: str) -> None:
        try:
            with self._store.open(url) as stored, local.open("rb") as file:
                grown = _begins_with(file, stored)
        except NotFound:
            grown = True
        with local.open("rb") as file:
            if grown:
                self._store.put(url, file)
            else:
                with self._store.open(url) as stored:
                    self._store.put(url, _Behind(stored, file))

    def stream(self, relative_path: str, ti: object) -> tuple[list[str], list[Generator[str, None, None]]]:  # noqa: ARG002
        """Return the URLs of the logs of a task's try, and the lines of each; or what keeps the store from telling."""
        folder, _, name = (self._url / relative_path).rpartition("/")
        try:
            found = [one.url for one in self._store.list(folder) if one.url.rpartition("/")[2].startswith(name)]
        except StepError as fault:
            return [f"{folder} cannot be read: {fault}"], []
        return found, [self._lines(url) for url in found]

    def read(self, relative_path: str, ti: object) -> tuple[list[str], list[str] | None]:
        """As `stream`, each log as one text; None where there is none."""
        found, logs = self.stream(relative_path, ti)
        return found, ["".join(lines) for lines in logs] or None

    def _lines(self, url: str) -> Generator[str, None, None]:
        with self._store.open(url) as body:
            for line in body:
                yield line.decode("utf-8", errors="replace")


class _Behind:
    """Two streams, one behind the other."""

    def __init__(self, *streams: Readable) -> None:
        self._streams = list(streams)

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; empty at the end of the last."""
        while self._streams:
            if piece := self._streams[0].read(size):
                return piece
            del self._streams[0]
        return b""


def _begins_with(new: Readable, old: Readable) -> bool:
    """Whether all of `old` stands at the beginning of `new`."""
    return all(new.read(len(piece)) == piece for piece in _pieces(old))


def _pieces(stream: Readable) -> Iterator[bytes]:
    while piece := stream.read(PIECE):
        yield piece


def _configured() -> StoredLogs | None:
    url = conf.get("tidegate", "logs_url", fallback="")
    return StoredLogs(url, base=Path(conf.get_mandatory_value("logging", "base_log_folder"))) if url else None


REMOTE_TASK_LOG: Final = _configured()
"""Found by Airflow beside `LOGGING`."""
