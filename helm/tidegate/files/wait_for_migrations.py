"""Holds an Airflow container back until the database has the tables of this very Airflow version, and an account.

Reads: Airflow's database; `airflow_heads.json` of our image, which says what version that is. Writes: nothing. Again:
waits as long as it takes; the Job `airflow-migrate-<revision>` does the work. Asking Airflow itself costs five CPU
seconds a container, so that is done only in an image without that file, or with other tables to migrate.
The account matters because the Job and a starting API server would both write FAB's permissions, and collide.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import psycopg2

EVERY_SECONDS = 1.0

HEADS = Path("/opt/tidegate/airflow_heads.json")
"""Table -> the revisions that it must have; `images/airflow/heads.py` writes it."""

CORE, FAB = "alembic_version", "alembic_version_fab"
HAS_TABLE = "SELECT to_regclass(%s) IS NOT NULL"
REVISIONS = {CORE: "SELECT version_num FROM alembic_version", FAB: "SELECT version_num FROM alembic_version_fab"}
HAS_USER = "SELECT EXISTS (SELECT FROM ab_user)"

PATIENCE_SECONDS = 1800
"""How long Airflow itself waits for the right version, where it is asked."""


def missing(heads: dict[str, list[str]]) -> str:
    """What the database does not have yet, or "".

    Args:
        heads: Table -> the revisions it must have; none for any.
    """
    url = re.sub(r"^postgresql\+\w+:", "postgresql:", os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    try:
        connection = psycopg2.connect(url, connect_timeout=5, options="-c statement_timeout=5000")
    except psycopg2.OperationalError:
        return "an answer"
    try:
        with connection.cursor() as cursor:
            return _missing(cursor, heads)
    finally:
        connection.close()


def _missing(cursor: psycopg2.extensions.cursor, heads: dict[str, list[str]]) -> str:
    for table in [CORE, FAB] if with_fab() else [CORE]:
        if not _ask(cursor, HAS_TABLE, table)[0][0]:
            return f"the table {table}"
        found, wanted = sorted(row[0] for row in _ask(cursor, REVISIONS[table])), heads.get(table)
        if wanted and found != wanted:
            return f"{table} at {', '.join(wanted)} (it is at {', '.join(found) or 'none'})"
    return "an account" if with_fab() and not _ask(cursor, HAS_USER)[0][0] else ""


def _ask(cursor: psycopg2.extensions.cursor, question: str, *values: str) -> list[tuple[str, ...]]:
    cursor.execute(question, values)
    return cursor.fetchall()


def with_fab() -> bool:
    """Whether accounts are FAB's."""
    return "fab" in os.environ.get("AIRFLOW__CORE__AUTH_MANAGER", "").lower()


def main() -> None:
    """Wait; where only Airflow knows, become `airflow db check-migrations`."""
    knows = HEADS.is_file() and not os.environ.get("AIRFLOW__DATABASE__EXTERNAL_DB_MANAGERS")
    heads = json.loads(HEADS.read_text()) if knows else {}
    while lacks := missing(heads):
        print(f"waiting for the Job airflow-migrate-<revision>: the database lacks {lacks}", flush=True)  # noqa: T201
        time.sleep(EVERY_SECONDS)
    if not knows:
        os.execvp("airflow", ["airflow", "db", "check-migrations", f"--migration-wait-timeout={PATIENCE_SECONDS}"])  # noqa: S606


if __name__ == "__main__":
    main()
