"""The step: settings, the stages, and retrying a chunk whose transaction failed for a passing reason.

Reads, writes, again: see the package.
"""

from __future__ import annotations

import gzip
import json
import logging
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from jobs._people.database import Database
from jobs.dedup_people import batch as batches
from jobs.dedup_people import model as models
from jobs.dedup_people.decide import Rules
from jobs.dedup_people.prepare import Prepared, chunks, from_json, prepare
from jobs.dedup_people.publish import publish_batch
from jobs.dedup_people.read import read
from jobs.dedup_people.spool import Spool
from jobs.dedup_people.store import commit, rows_done
from tidegate.step import BadInput, BadSettings, Input, Prefix, Result, Secret, param, publish, secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    import psycopg

    from jobs.dedup_people.decide import Record
    from tidegate.step import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What dedup_people is told."""

    people: Input
    """The batch: Parquet, CSV with a header, or JSON Lines."""
    output: Prefix
    """Where the report, the decisions, the rejected rows and the histogram go."""
    database: Secret = secret("PEOPLE_DATABASE_URL")
    """postgresql://user:password@host/database of the people's own server."""
    model: Input | None = None
    """A matching model fitted to your own population; without it the one in the image."""
    prepared: Input | None = None
    """The folder that pods of stage "prepare" wrote under; without it this pod does all the work."""
    stage: str = param("all", choices=("all", "prepare", "commit"))
    """What this pod does: "prepare" cleans, keys and scores one shard and stores nobody; "commit" stores, from what was
    prepared where there is any; "all" is both."""
    shard: int = param(0, at_least=0)
    """Which shard this pod prepares, from 0."""
    shards: int = param(1, at_least=1, at_most=1000)
    """How many pods prepare."""
    columns: dict[str, str] = param({})
    """Names of the file's columns where they differ from ours: {"first_name": "given", ...}. Ours: record_id,
    first_name, last_name, address or house_number, street, unit, city, state, postcode."""
    match_at: float = param(0.98, above=0.5, below=1)
    """Score from which a record is taken for a person already stored."""
    review_at: float = param(0.03, above=0, below=1)
    """Score below which a record is somebody new; between the two it waits for a person."""
    margin: float = param(1.0, at_least=0, at_most=30)
    """A match must be better than the runner-up by so many bits (1 bit is twice the odds); otherwise review."""
    unsure: str = param("hold", choices=("hold", "insert"))
    """What to do with records in review: hold them back, or insert them as new and list them all the same."""
    chunk_rows: int = param(1000, at_least=1, at_most=20000)
    """Records a transaction; the lock on the table is held for one chunk at a time."""
    block_cap: int = param(300, at_least=10, at_most=10000)
    """People looked at under one key at most; crowded keys are counted in the metrics."""
    mail_domain: str = param("tidegate.invalid", at_least=1, at_most=200)
    """What stands behind the @ of the Message-ID of this batch's mail."""

    def __post_init__(self) -> None:
        """Rules that take two settings."""
        faults = []
        if self.review_at > self.match_at:
            faults.append(f"$TIDEGATE_PARAMS.review_at is {self.review_at}; want at most match_at, {self.match_at}")
        if self.shard >= self.shards:
            faults.append(f"$TIDEGATE_PARAMS.shard is {self.shard}; want less than shards, {self.shards}")
        if faults:
            raise BadSettings(*faults)

    @property
    def rules(self) -> Rules:
        """The thresholds in bits."""
        return Rules(
            match_at=models.bits_of(self.match_at),
            review_at=models.bits_of(self.review_at),
            margin=self.margin,
            cap=self.block_cap,
            unsure="insert" if self.unsure == "insert" else "hold",
        )


def run(settings: Settings, store: Store) -> Result:
    """Do one stage."""
    model = _model(settings, store)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "people"
        content = _download(store, settings, file)
        with Spool(read(file, settings.columns)) as spool, closing(Database(settings.database.reveal())) as base:
            work = _Work(settings, store, model, base, spool, content)
            return work.prepare() if settings.stage == "prepare" else work.all()


def _model(settings: Settings, store: Store) -> models.Model:
    if settings.model is None:
        return models.shipped()
    try:
        return models.load(store.get(settings.model).decode())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{settings.model} is no matching model: {error}", url=settings.model) from None


def _download(store: Store, settings: Settings, file: Path) -> bytes:
    """Copy the batch to disk; the sha256 of its content and of what its columns mean."""
    digest = sha256(json.dumps(settings.columns, sort_keys=True).encode())
    with store.open(settings.people) as body, file.open("wb") as out:
        for piece in iter(lambda: body.read(1 << 20), b""):
            digest.update(piece)
            out.write(piece)
    return digest.digest()


@dataclass(frozen=True)
class _Work:
    """One stage's means."""

    settings: Settings
    store: Store
    model: models.Model
    base: Database
    spool: Spool
    content: bytes

    @property
    def batch(self) -> UUID:
        return batches.batch_id(self.content)

    def prepare(self) -> Result:
        """Clean, key and score one shard, and write what was found."""
        name = f"prepared-{self.settings.shard:04d}-of-{self.settings.shards:04d}.jsonl.gz"
        rows = 0
        with tempfile.TemporaryFile() as file:
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1, mtime=0) as out:
                out.write(f"{self.content.hex()} {self.model.version}\n".encode())
                for chunk in self._chunks(shard=self.settings.shard, shards=self.settings.shards):
                    out.write(f"{self._prepared(chunk).to_json()}\n".encode())
                    rows += len(chunk)
            file.seek(0)
            output = publish(self.store, "prepared", self.settings.output / name, file)
        return Result(outputs=(output,), metrics={"rows": rows}, summary=f"prepared {rows:,} rows of shard "
                      f"{self.settings.shard + 1} of {self.settings.shards}")  # fmt: skip

    def all(self) -> Result:
        """Commit chunk by chunk, finish, publish."""
        start, crowded = time.monotonic(), 0
        begun = self.base.retried(self._begin)
        counts, known = begun.counts, begun.counts is not None
        if counts is None:
            for chunk in self._to_commit(fresh=not begun.known):
                crowded += self._commit(chunk)
            counts = self.base.retried(lambda connection: self._finish(connection, crowded))
        seconds = time.monotonic() - start
        return self.base.retried(
            lambda connection: publish_batch(connection, self.batch, self.spool, self.settings.output, self.store,
                                             counts=counts, seconds=seconds, known=known)
        )  # fmt: skip

    def _begin(self, connection: psycopg.Connection) -> batches.Begun:
        return batches.begin(connection, self.content, source=self.settings.people, model=self.model)

    def _finish(self, connection: psycopg.Connection, crowded: int) -> dict[str, int]:
        rejected = sum(1 for _ in self.spool.rejected())
        return batches.finish(
            connection, self.batch, rejected=rejected, crowded=crowded, domain=self.settings.mail_domain
        )

    def _to_commit(self, *, fresh: bool) -> Iterator[Prepared]:
        """What other pods prepared, then whatever is left of the file, prepared here; of a fresh batch, all is."""
        fresh = fresh and self.settings.prepared is None
        if self.settings.prepared is not None:
            yield from self._from_pods(self.settings.prepared)
        for chunk in self._chunks():
            left = chunk if fresh else self._left(chunk)
            if left:
                yield self._prepared(left)

    def _from_pods(self, folder: str) -> Iterator[Prepared]:
        found = sorted((stat.url.rpartition("/")[2], stat.url) for stat in self.store.list(folder))
        for name, url in found:
            if not name.startswith("prepared-"):
                continue
            with self.store.open(url) as body, gzip.open(body, "rt", encoding="utf-8") as lines:
                if next(lines).split()[:2] != [self.content.hex(), self.model.version]:
                    raise BadInput(f"{url} was prepared from another batch or model; prepare again", url=url)
                yield from map(from_json, lines)

    def _chunks(self, *, shard: int = 0, shards: int = 1) -> Iterator[list[Record]]:
        return chunks(self.spool.rows(shard=shard, shards=shards), self.settings.chunk_rows)

    def _left(self, chunk: list[Record]) -> list[Record]:
        numbers = [record.row_no for record in chunk]
        done = self.base.retried(lambda connection: rows_done(connection, self.batch, numbers))
        return [record for record in chunk if record.row_no not in done]

    def _prepared(self, chunk: list[Record]) -> Prepared:
        cap = self.settings.block_cap
        return self.base.retried(lambda connection: prepare(connection, chunk, self.model, cap=cap))

    def _commit(self, chunk: Prepared) -> int:
        """Commit a chunk; a lost answer is settled by looking at its rows when it is tried again."""
        done = self.base.retried(
            lambda connection: commit(
                connection, self.batch, chunk.records, chunk.lookup, model=self.model, rules=self.settings.rules
            )
        )
        log.info("batch %s: %d rows committed", self.batch, done.rows)
        return done.crowded
