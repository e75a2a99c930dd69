"""The admission tables and the one transaction on them, the same on PostgreSQL, MySQL or MariaDB, and SQLite.

Every change goes through the gate: a row that each transaction updates first, so that they come one after another.
Leases are told by the database's clock, never by a machine's.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    delete,
    event,
    insert,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError, IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Row

    from tidegate.airflow.order import Limits

LEASE = timedelta(seconds=60)
"""How long a place is kept without a sign of life: longer than a triggerer needs to take over."""

RENEW = timedelta(seconds=10)
"""A lease younger than this is not written again: five hundred that wait are looked at every second."""

FORGET = timedelta(days=2)
"""After so long a lapsed entry that only waited is removed."""

TIMEOUT = 10
_TRIES = 5

metadata = MetaData()
_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "sqlite_autoincrement": True,
}
_ID = BigInteger().with_variant(Integer(), "sqlite")
_TIME = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")

entries_table = Table(
    "ledger_admission",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("pipeline", String(250), nullable=False),
    Column("run_id", String(250), nullable=False),
    Column("task_id", String(250), nullable=False),
    Column("map_index", Integer, nullable=False),
    Column("try_number", Integer, nullable=False),
    Column("holder", String(64), nullable=False),
    Column("lease_expires", _TIME, nullable=False),
    Column("datetime_asked", _TIME, nullable=False),
    Column("datetime_admitted", _TIME),
    UniqueConstraint("holder", name="uq_ledger_admission_holder"),
    **_OPTIONS,
)
"""Who has a pod or waits for one, in order of arrival (`id`). Times are UTC."""

gate_table = Table(
    "ledger_gate",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("turn", BigInteger, nullable=False),
    **_OPTIONS,
)
GATE = "admission"

_CLOCKS = {
    "postgresql": "SELECT clock_timestamp() AT TIME ZONE 'UTC'",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "mariadb": "SELECT UTC_TIMESTAMP(6)",
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One try of a task instance that asks for a place."""

    holder: str
    pipeline: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int


def turn(
    engine: Engine,
    *,
    entries: Sequence[Entry],
    leaving: Iterable[str],
    limits: Limits,
    living: frozenset[str] | None,
) -> frozenset[str]:
    """Renew `entries`, give back `leaving`, fill free places; return which of `entries` have one.

    Args:
        engine: From `open_engine`.
        entries: All that this process asks for or holds, in order of arrival.
        leaving: Holders that have ended.
        limits: How many places there are.
        living: Holders whose pod lives, None if unknown: then no lapsed place is given away.
    """
    _prepare(engine)
    for attempt in range(_TRIES):
        try:
            with engine.begin() as connection:
                return _turn(connection, entries, frozenset(leaving), limits, living)
        except (IntegrityError, DBAPIError):
            if attempt == _TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _turn(
    connection: Connection,
    entries: Sequence[Entry],
    leaving: frozenset[str],
    limits: Limits,
    living: frozenset[str] | None,
) -> frozenset[str]:
    connection.execute(update(gate_table).where(gate_table.c.name == GATE).values(turn=gate_table.c.turn + 1))
    now = _now(connection)
    _remove(connection, leaving)
    _renew(connection, entries, now)
    rows = connection.execute(select(entries_table).order_by(entries_table.c.id)).all()
    lapsed = [row for row in rows if row.lease_expires < now]
    _remove(connection, gone := _over(lapsed, now, living))
    standing = [row for row in rows if row.holder not in gone]
    chosen = choose(standing, limits, now=now)
    if chosen:
        query = update(entries_table).where(entries_table.c.holder.in_(chosen))
        connection.execute(query.values(datetime_admitted=now))
    inside = {row.holder for row in standing if row.datetime_admitted is not None} | set(chosen)
    return frozenset(inside & {entry.holder for entry in entries})


def choose(rows: Sequence[Row[Any]], limits: Limits, *, now: datetime) -> list[str]:
    """Return who is let in next: in order of arrival, a pipeline at its limit letting the others pass."""
    inside = [row for row in rows if row.datetime_admitted is not None]
    total = len(inside)
    counts: dict[str, int] = {}
    for row in inside:
        counts[row.pipeline] = counts.get(row.pipeline, 0) + 1
    chosen: list[str] = []
    for row in rows:
        if row.datetime_admitted is not None or row.lease_expires < now:
            continue
        if limits.cluster is not None and total >= limits.cluster:
            break
        most = limits.pipeline(row.pipeline)
        if most is not None and counts.get(row.pipeline, 0) >= most:
            continue
        chosen.append(row.holder)
        total += 1
        counts[row.pipeline] = counts.get(row.pipeline, 0) + 1
    return chosen


def _over(lapsed: Sequence[Row[Any]], now: datetime, living: frozenset[str] | None) -> frozenset[str]:
    """Return lapsed holders whose place is free: their pod is gone; or they waited and nobody came for days."""
    admitted = [row.holder for row in lapsed if row.datetime_admitted is not None]
    free = [holder for holder in admitted if living is not None and holder not in living]
    waited = [row.holder for row in lapsed if row.datetime_admitted is None and row.lease_expires < now - FORGET]
    return frozenset([*free, *waited])


def _renew(connection: Connection, entries: Sequence[Entry], now: datetime) -> None:
    holders = [entry.holder for entry in entries]
    known = set(connection.execute(select(entries_table.c.holder).where(entries_table.c.holder.in_(holders))).scalars())
    if known:
        due = entries_table.c.lease_expires < now + LEASE - RENEW
        query = update(entries_table).where(entries_table.c.holder.in_(known), due)
        connection.execute(query.values(lease_expires=now + LEASE))
    for entry in entries:
        if entry.holder not in known:
            row = {**asdict(entry), "datetime_asked": now, "lease_expires": now + LEASE}
            connection.execute(insert(entries_table).values(**row))


def _remove(connection: Connection, holders: frozenset[str]) -> None:
    if holders:
        connection.execute(delete(entries_table).where(entries_table.c.holder.in_(holders)))


def _now(connection: Connection) -> datetime:
    sql = _CLOCKS.get(connection.dialect.name)
    if sql is None:
        return datetime.now(UTC).replace(tzinfo=None)
    now: datetime = connection.execute(text(sql)).scalar_one()
    return now


_prepared: set[int] = set()
_preparing = threading.Lock()


def _prepare(engine: Engine) -> None:
    """Make the tables and the gate where they are missing; two processes may do so at once."""
    with _preparing:
        if id(engine) in _prepared:
            return
        for attempt in range(_TRIES):
            try:
                _make(engine)
                break
            except DBAPIError:
                if attempt == _TRIES - 1:
                    raise
        _prepared.add(id(engine))


def _make(engine: Engine) -> None:
    metadata.create_all(engine)
    with engine.begin() as connection:
        if connection.execute(select(gate_table.c.name).where(gate_table.c.name == GATE)).first() is None:
            connection.execute(insert(gate_table).values(name=GATE, turn=0))


_DRIVERS = {"mysql": "mysql+pymysql", "mariadb": "mysql+pymysql", "sqlite": "sqlite"}


def open_engine(address: str) -> Engine:
    """Return a small pooled engine; nothing is connected yet. The address may be Airflow's or SQLAlchemy's."""
    url = make_url(address)
    kind = url.drivername.partition("+")[0]
    if kind == "sqlite":
        engine = create_engine(url.set(drivername="sqlite"), connect_args={"timeout": TIMEOUT})
        _one_writer(engine)
        return engine
    driver = _DRIVERS.get(kind, f"postgresql+{_postgres_driver()}")
    options = {"connect_timeout": TIMEOUT}
    return create_engine(
        url.set(drivername=driver),
        connect_args=options,
        pool_size=1,
        max_overflow=1,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
    )


@cache
def _postgres_driver() -> str:
    try:
        import psycopg  # noqa: F401, PLC0415
    except ImportError:
        return "psycopg2"
    return "psycopg"


def _one_writer(engine: Engine) -> None:
    """SQLite: take the write lock when a transaction begins; a later upgrade of two readers would deadlock."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
