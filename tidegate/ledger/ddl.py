"""The tables as SQL for each database, with a small test data set: what lies in `k8s/ledger/*.sql`.

`python -m tidegate.ledger.ddl FOLDER` writes the files; a test keeps them equal to the migrations. Loading a file into
an empty database gives what `tidegate ledger migrate` gives, its version included, and the test data.
"""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from sqlalchemy import Dialect, insert
from sqlalchemy.dialects import mysql, postgresql, sqlite

from tidegate.ledger import sample
from tidegate.ledger.address import SCHEMA
from tidegate.ledger.migrate import config
from tidegate.ledger.tables import ledger_row, ledger_use

if TYPE_CHECKING:
    from sqlalchemy import Table

DIALECTS: dict[str, Dialect] = {
    "postgresql": postgresql.dialect(paramstyle="named"),  # type: ignore[no-untyped-call]
    "mysql": mysql.dialect(paramstyle="named"),
    "sqlite": sqlite.dialect(paramstyle="named"),
}
"""File name to dialect; MariaDB reads MySQL's."""

PREPARE = {
    "postgresql": f"CREATE SCHEMA IF NOT EXISTS {SCHEMA};\n\nSET search_path TO {SCHEMA};\n\n",
    "mysql": (
        f"CREATE DATABASE IF NOT EXISTS {SCHEMA} DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;\n\n"
        f"USE {SCHEMA};\n\n"
    ),
    "sqlite": "",
}

FINISH = {
    "postgresql": "".join(
        f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT MAX(id) FROM {name}));\n\n"  # noqa: S608 - own names
        for name in ("ledger_row", "ledger_use")
    ),
    "mysql": "",
    "sqlite": "",
}
"""PostgreSQL does not count rows that bring their own number."""


def sql(dialect: str) -> str:
    """The whole file of one dialect."""
    head = f"-- Made by `python -m tidegate.ledger.ddl`; tables, views and a small test data set for {dialect}.\n\n"
    return head + PREPARE[dialect] + _tables(dialect) + _data(dialect) + FINISH[dialect]


def write(folder: Path) -> None:
    """All files."""
    folder.mkdir(parents=True, exist_ok=True)
    for dialect in DIALECTS:
        (folder / f"{dialect}.sql").write_text(sql(dialect))


def _tables(dialect: str) -> str:
    output = StringIO()
    command.upgrade(config(dialect=dialect, output=output), "head", sql=True)
    lines = output.getvalue().rstrip().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n\n"


def _data(dialect: str) -> str:
    rows, uses = sample.data()
    made = DIALECTS[dialect]
    statements = [_insert(ledger_row, values, made) for values in rows]
    statements += [_insert(ledger_use, values, made) for values in uses]
    return "".join(f"{statement};\n\n" for statement in statements)


def _insert(table: Table, values: dict[str, Any], dialect: Dialect) -> str:
    compiled = insert(table).values(values).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    return str(compiled)


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "k8s/ledger"))
