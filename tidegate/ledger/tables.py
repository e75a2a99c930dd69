"""The tables, one definition for PostgreSQL, MySQL or MariaDB, and SQLite.

JSON is kept as text in its canonical form: the databases' own JSON types reorder names and round numbers. Times are
UTC without zone in the database and with zone outside. Text compares byte by byte, also on MySQL. `ledger_row.id` is
the fencing number, so it must never be used twice; (key, attempt) is what lets only one of two at once begin.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql

if TYPE_CHECKING:
    from sqlalchemy import Dialect

metadata = MetaData()

OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "sqlite_autoincrement": True,
}

NAME, SHA = 250, 64
ID = BigInteger().with_variant(Integer(), "sqlite")
LONG = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


class Utc(TypeDecorator[datetime]):
    """A moment: with a zone in Python, UTC to the microsecond in the database."""

    impl = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse a time without zone: it would be somebody's local one."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC).replace(tzinfo=None) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give the zone back."""
        return value.replace(tzinfo=UTC) if value is not None else None


def _id() -> Column[int]:
    return Column("id", ID, primary_key=True, autoincrement=True)


def _task() -> list[Column[Any]]:
    return [
        Column("pipeline", String(NAME), nullable=False),
        Column("run_id", String(NAME), nullable=False),
        Column("task_id", String(NAME), nullable=False),
        Column("map_index", Integer, nullable=False),
        Column("try_number", Integer, nullable=False),
        Column("holder", String(SHA), nullable=False),
    ]


ledger_row = Table(
    "ledger_row",
    metadata,
    _id(),
    Column("key", String(SHA), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("step", String(63), nullable=False),
    Column("state", String(16), nullable=False),
    *_task(),
    Column("lease_expires", Utc),
    Column("datetime_started", Utc, nullable=False),
    Column("datetime_finished", Utc),
    Column("image", String(1024), nullable=False),
    Column("params", LONG, nullable=False),
    Column("inputs", LONG, nullable=False),
    Column("parts", LONG, nullable=False),
    Column("outputs", LONG, nullable=False),
    Column("metrics", LONG, nullable=False),
    Column("summary", Text, nullable=False),
    Column("output_path", String(2048), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("pod", String(253), nullable=False),
    Column("node", String(253), nullable=False),
    Column("exit_reason", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("peak_memory_bytes", BigInteger),
    Column("cpu_seconds", Double),
    Column("log_url", String(2048), nullable=False),
    Column("ttl_seconds", Double),
    Column("extra", LONG),
    UniqueConstraint("key", "attempt", name="uq_ledger_row_key_attempt"),
    Index("ix_ledger_row_step", "step", "id"),
    Index("ix_ledger_row_pipeline", "pipeline", "id"),
    Index("ix_ledger_row_state", "state", "lease_expires"),
    **OPTIONS,
)
"""One attempt each: what was to be done, by whom, and how it ended."""

ledger_use = Table(
    "ledger_use",
    metadata,
    _id(),
    *_task(),
    Column("row_id", ID, ForeignKey("ledger_row.id", name="fk_ledger_use_row", ondelete="CASCADE"), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("run_params", LONG, nullable=False),
    Column("datetime_decided", Utc, nullable=False),
    UniqueConstraint("holder", name="uq_ledger_use_holder"),
    Index("ix_ledger_use_row", "row_id"),
    Index("ix_ledger_use_task", "pipeline", "task_id", "id"),
    **OPTIONS,
)
"""What each task's try got: the row it ran (`run`), used (`hit`) or waits for (`wait`)."""

ledger_admission = Table(
    "ledger_admission",
    metadata,
    _id(),
    *_task(),
    Column("lease_expires", Utc, nullable=False),
    Column("datetime_asked", Utc, nullable=False),
    Column("datetime_admitted", Utc),
    UniqueConstraint("holder", name="uq_ledger_admission_holder"),
    **OPTIONS,
)
"""Who may have a pod now, and who waits for one, in order of arrival."""

ledger_gate = Table(
    "ledger_gate",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("turn", BigInteger, nullable=False),
    **OPTIONS,
)
"""One row a gate; whoever updates it goes through alone until the end of the transaction."""
