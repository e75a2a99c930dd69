"""Where the ledger's database is, and how to talk to it.

Reads: `$TIDEGATE_LEDGER_URL`, or Airflow's connection `ml_airflow` as `$AIRFLOW_CONN_ML_AIRFLOW` (address or JSON).
An address holds a password: it is never an argument, and no error shows it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import create_async_engine

from tidegate.ledger.errors import BadAddress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

SCHEMA = "ml_airflow"
"""The PostgreSQL schema; on MySQL the database has its name, SQLite has none."""

VARIABLES = ("TIDEGATE_LEDGER_URL", "AIRFLOW_CONN_ML_AIRFLOW")

AIRFLOWS_EXTRA = "__extra__"
"""Airflow puts a connection's extra field into the address under this name; no driver knows it."""

CONNECTIONS = 4
"""Of one process at most. Who finds all in use waits in line, without a limit: a rush is no outage."""

TIMEOUT = 10
"""Seconds to connect, and on PostgreSQL for one statement or lock: a trigger must not hang on the ledger."""


@dataclass(frozen=True)
class Drivers:
    """The two drivers of one kind of database."""

    sync: str
    aio: str


POSTGRESQL = Drivers("postgresql+psycopg", "postgresql+psycopg")
MYSQL = Drivers("mysql+pymysql", "mysql+aiomysql")
SQLITE = Drivers("sqlite", "sqlite+aiosqlite")
KINDS = {"postgres": POSTGRESQL, "postgresql": POSTGRESQL, "mysql": MYSQL, "mariadb": MYSQL, "sqlite": SQLITE}


def from_environment(environ: Mapping[str, str]) -> str:
    """The address, in the first of `VARIABLES` that is set."""
    for name in VARIABLES:
        if value := environ.get(name, "").strip():
            return _from_json(value) if value.startswith("{") else value
    raise BadAddress(f"set ${VARIABLES[0]} (postgresql://user:password@host/database, mysql://… or sqlite:////file)")


def _from_json(text: str) -> str:
    """Airflow's other form of a connection."""
    try:
        fields = json.loads(text)
        url = URL.create(
            str(fields["conn_type"]),
            username=fields.get("login"),
            password=fields.get("password"),
            host=fields.get("host"),
            port=int(fields["port"]) if fields.get("port") else None,
            database=fields.get("schema"),
        )
    except (ValueError, KeyError, TypeError, AttributeError, ArgumentError):
        raise BadAddress(f"${VARIABLES[1]} is JSON, but no Airflow connection; want conn_type, host, login …") from None
    return url.render_as_string(hide_password=False)


def drivers_of(address: str) -> tuple[URL, Drivers]:
    """The address taken apart, and what speaks to that kind of database."""
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise BadAddress("the ledger's address is no URL; want postgresql://user:password@host/database") from None
    kind = url.drivername.partition("+")[0]
    if kind not in KINDS:
        raise BadAddress(f"the ledger's address begins with {kind}://; want postgresql://, mysql:// or sqlite://")
    return url.difference_update_query([AIRFLOWS_EXTRA]), KINDS[kind]


def turns(address: str) -> int:
    """How many transactions a process may have open at once; SQLite has one writer, and no fair queue of its own."""
    return 1 if drivers_of(address)[1] is SQLITE else CONNECTIONS


def open_engine(address: str) -> Engine:
    """A pooled engine for ordinary code; nothing is connected yet."""
    url, drivers = drivers_of(address)
    engine = create_engine(url.set(drivername=drivers.sync), **_options(url, drivers))
    if drivers is SQLITE:
        one_writer(engine)
    return engine


def open_async_engine(address: str) -> AsyncEngine:
    """The same for an event loop."""
    url, drivers = drivers_of(address)
    engine = create_async_engine(url.set(drivername=drivers.aio), **_options(url, drivers))
    if drivers is SQLITE:
        one_writer(engine.sync_engine)
    return engine


def _options(url: URL, drivers: Drivers) -> dict[str, Any]:
    if drivers is SQLITE:
        return {"connect_args": {"timeout": float(str(url.query.get("timeout", TIMEOUT)))}}
    server: dict[str, Any] = {"connect_timeout": TIMEOUT}
    if drivers is POSTGRESQL:
        limits = f"-csearch_path={SCHEMA} -cstatement_timeout={TIMEOUT}s -clock_timeout={TIMEOUT}s"
        server |= {"options": limits, "application_name": "tidegate-ledger"}
    else:
        server |= {"init_command": f"SET time_zone='+00:00', innodb_lock_wait_timeout={TIMEOUT}", "charset": "utf8mb4"}
    pool = {"pool_size": CONNECTIONS, "max_overflow": 0, "pool_pre_ping": True, "pool_recycle": 300}
    return {"connect_args": server, "isolation_level": "READ COMMITTED", "pool_timeout": TIMEOUT, **pool}


def one_writer(engine: Engine) -> None:
    """SQLite: take the write lock when a transaction begins, or two of them deadlock in the middle.

    The driver must not begin by itself, see SQLAlchemy's "Serializable isolation / Savepoints" for sqlite.
    """

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: Any) -> None:  # noqa: ANN401 - see above
        connection.exec_driver_sql("BEGIN IMMEDIATE")
