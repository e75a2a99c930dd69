"""Bring the database's tables to this version: `tidegate ledger migrate`, and the chart before Airflow starts.

The chart calls `python -m tidegate.ledger.migrate`, which needs no more than the ledger does.

Writes: the schema `ml_airflow` on PostgreSQL (made where it is not), tables and views. Again: nothing to do. Two at
once: one works, the other waits for it. Killed half-way: run it again; on MySQL, which commits every statement by
itself, the migrations themselves make only what is not there. After a rollback: tables of a newer program are left as
they are, because a migration only adds (a column that may be empty, a table, an index).
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from tidegate.ledger.address import MYSQL, POSTGRESQL, SCHEMA, SQLITE, drivers_of, from_environment, one_writer
from tidegate.ledger.errors import Unreachable
from tidegate.ledger.transaction import translated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import StringIO

    from sqlalchemy import Connection, Engine

VERSION_TABLE = "ledger_version"

LOCK = 7_316_190_241
"""Of PostgreSQL's advisory locks the one that means this migration; any number nobody else uses."""

PATIENCE = 300
"""Seconds to wait for another migration."""


@dataclass(frozen=True, kw_only=True)
class Migrated:
    """From which version to which; equal where there was nothing to do. Empty: no tables."""

    was: str
    now: str
    ahead: bool = False
    """Whether the tables are a newer program's."""


def migrate(address: str) -> Migrated:
    """Bring the database to the newest version.

    Raises:
        Unreachable: it cannot be used, or another migration took longer than five minutes.
    """
    engine = _patient_engine(address)
    try:
        with engine.connect() as conn, _alone(conn):
            was = _version(conn)
            if was and was not in _versions():
                return Migrated(was=was, now=was, ahead=True)
            command.upgrade(config(connection=conn), "head")
            conn.commit()
            return Migrated(was=was, now=_version(conn))
    except (SQLAlchemyError, OSError) as error:
        raise translated(error) from error
    finally:
        engine.dispose()


def newest() -> str:
    """The version this program wants."""
    return ScriptDirectory.from_config(config()).get_current_head() or ""


def _versions() -> set[str]:
    """Every version this program knows."""
    return {one.revision for one in ScriptDirectory.from_config(config()).walk_revisions()}


def config(*, connection: Connection | None = None, dialect: str = "", output: StringIO | None = None) -> Config:
    """Alembic's settings: a connection to work on, or a dialect to write SQL for."""
    made = Config(output_buffer=output) if output is not None else Config()
    made.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    made.set_main_option("path_separator", "os")
    made.attributes.update(connection=connection, dialect=dialect)
    return made


def _patient_engine(address: str) -> Engine:
    """No limit on a statement's time, and one connection."""
    url, drivers = drivers_of(address)
    arguments = {
        POSTGRESQL: {"options": f"-csearch_path={SCHEMA} -clock_timeout={PATIENCE}s", "connect_timeout": 10},
        MYSQL: {"connect_timeout": 10, "charset": "utf8mb4"},
        SQLITE: {"timeout": PATIENCE},
    }[drivers]
    engine = create_engine(url.set(drivername=drivers.sync), connect_args=arguments, poolclass=NullPool)
    if drivers is SQLITE:
        one_writer(engine)
    return engine


@contextmanager
def _alone(conn: Connection) -> Iterator[None]:
    """Hold the database's migration lock; on SQLite the open transaction is one."""
    kind = conn.dialect.name
    if kind == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK})
        _make_schema(conn)
        yield
    elif kind in ("mysql", "mariadb"):
        got = conn.execute(text("SELECT GET_LOCK('tidegate_ledger', :seconds)"), {"seconds": PATIENCE}).scalar()
        if got != 1:
            raise Unreachable(f"another migration has been at work for {PATIENCE} s; look what it waits for")
        yield
        conn.execute(text("SELECT RELEASE_LOCK('tidegate_ledger')"))
    else:
        yield


def _make_schema(conn: Connection) -> None:
    """Asked before it is made: a role that may not make schemas can still use one that an administrator made."""
    there = conn.execute(text("SELECT 1 FROM pg_namespace WHERE nspname = :name"), {"name": SCHEMA}).scalar()
    if not there:
        conn.execute(text(f"CREATE SCHEMA {SCHEMA}"))


def _version(conn: Connection) -> str:
    return MigrationContext.configure(conn, opts={"version_table": VERSION_TABLE}).get_current_revision() or ""


if __name__ == "__main__":
    done = migrate(from_environment(os.environ))
    newer = ", of a newer program, and left as it is" if done.ahead else ""
    sys.stdout.write(f"the ledger is at version {done.now}, was {done.was or 'empty'}{newer}\n")
