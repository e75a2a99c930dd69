"""The step: settings, and the two Parquet files.

Reads, writes, again: see the package.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from faker.config import AVAILABLE_LOCALES

from jobs.make_people.people import Truth, Wanted, people
from tidegate.step import BadSettings, Output, Prefix, Result, param, publish

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from tidegate.step import Store

    Made = tuple[dict[str, str], Truth]

_GROUP = 10_000
"""Records in memory, and in one row group."""

_PEOPLE = pa.schema([(name, pa.string()) for name in ("record_id", "first_name", "last_name", "address")])
_TRUTH = pa.schema([(name, pa.string()) for name in ("record_id", "person", "kind")])


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What make_people is told."""

    output: Prefix
    """Where the two files go."""
    logical_date: datetime
    """The run's logical date; the seed is the hour, or whatever `every_minutes` says, that it lies in."""
    count: int = param(1000, at_least=1, at_most=10_000_000)
    """Records in the batch."""
    duplicates: float = param(0.2, at_least=0, at_most=1)
    """Share of records that are faulty copies of somebody in this batch or the one before, 0 to 1."""
    households: float = param(0.1, at_least=0, at_most=1)
    """Share of records that are another person with somebody's last name and address, 0 to 1."""
    every_minutes: int = param(60, at_least=1)
    """How long a batch is the same one: every run within the period makes it, and its duplicates are of people of the
    period before too."""
    locale: str = param("en_US", at_least=2, at_most=10)
    """Whose names and addresses: a locale of Faker, such as en_US or de_DE."""

    def __post_init__(self) -> None:
        """Rules that take two settings, or Faker."""
        faults = []
        if self.duplicates + self.households > 1:
            faults.append("$TIDEGATE_PARAMS.duplicates and households add up to more than 1; lower one")
        if self.locale not in AVAILABLE_LOCALES:
            faults.append(f"$TIDEGATE_PARAMS.locale is {self.locale!r}; want a locale of Faker, such as en_US")
        if faults:
            raise BadSettings(*faults)


def run(settings: Settings, store: Store) -> Result:
    """Make the batch and publish it."""
    wanted = Wanted(count=settings.count, duplicates=settings.duplicates, households=settings.households,
                    locale=settings.locale)  # fmt: skip
    begin, before = periods(settings.logical_date, timedelta(minutes=settings.every_minutes))
    made = people(seed(begin), wanted, earlier_seed=seed(before))
    with tempfile.TemporaryFile() as records, tempfile.TemporaryFile() as truths:
        copies = _write(made, records, truths)
        outputs = (
            _publish(store, "people", settings.output / "people.parquet", records),
            _publish(store, "truth", settings.output / "truth.parquet", truths),
        )
    return Result(outputs=outputs, metrics={"records": settings.count, "duplicates": copies},
                  summary=f"{settings.count:,} records, {copies:,} of them faulty copies")  # fmt: skip


def periods(moment: datetime, length: timedelta) -> tuple[datetime, datetime]:
    """When the period that `moment` lies in began, and the one before it; counted from 1970 in UTC."""
    begin = moment - (moment - datetime(1970, 1, 1, tzinfo=UTC)) % length
    return begin.astimezone(UTC), (begin - length).astimezone(UTC)


def seed(moment: datetime) -> str:
    """The seed of a moment, also the beginning of its record ids."""
    return moment.strftime("%Y%m%dT%H%M%S")


def _write(made: Iterator[Made], records: BinaryIO, truths: BinaryIO) -> int:
    """Write both files, one row group at a time; how many records are copies."""
    copies = 0
    with pq.ParquetWriter(records, _PEOPLE) as one, pq.ParquetWriter(truths, _TRUTH) as two:
        while group := list(islice(made, _GROUP)):
            one.write_table(_table([record for record, _ in group], _PEOPLE))
            two.write_table(_table([vars(truth) for _, truth in group], _TRUTH))
            copies += sum(truth.person != truth.record_id for _, truth in group)
    return copies


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=schema)


def _publish(store: Store, name: str, url: str, file: BinaryIO) -> Output:
    file.seek(0)
    return publish(store, name, url, file)
