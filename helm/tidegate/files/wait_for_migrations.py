"""Holds an Airflow container back until the database has the tables of this very Airflow version, and an account.

Reads: Airflow's database. Writes: nothing. Again: waits as long as it takes; the Job `airflow-migrate-<revision>` does
the work. Asking Airflow itself costs five CPU seconds a container, so it is asked once, when there is something to see.
The account matters because the Job and a starting API server would both write FAB's permissions, and collide.
"""

from __future__ import annotations

import os
import re
import time

import psycopg2

EVERY_SECONDS = 2.0

IS_STAMPED = "SELECT to_regclass('alembic_version') IS NOT NULL"
HAS_FAB = "SELECT to_regclass('ab_user') IS NOT NULL"
HAS_USER = "SELECT EXISTS (SELECT FROM ab_user)"

PATIENCE_SECONDS = 1800
"""How long Airflow itself waits for the right version, once there is any."""


def made() -> bool:
    """Whether the database answers, some Airflow version has made its tables, and FAB, where it is used, has a user."""
    url = re.sub(r"^postgresql\+\w+:", "postgresql:", os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    try:
        connection = psycopg2.connect(url, connect_timeout=5)
    except psycopg2.OperationalError:
        return False
    try:
        with connection.cursor() as cursor:
            return all(_says(cursor, question) for question in questions(fab=_says(cursor, HAS_FAB)))
    finally:
        connection.close()


def questions(*, fab: bool) -> list[str]:
    """What must be true; a table can only be asked where it is."""
    return [IS_STAMPED, HAS_USER] if fab else [IS_STAMPED]


def _says(cursor: psycopg2.extensions.cursor, question: str) -> bool:
    cursor.execute(question)
    row = cursor.fetchone()
    return bool(row and row[0])


def main() -> None:
    """Wait, then become `airflow db check-migrations`."""
    while not made():
        print("waiting for the Job airflow-migrate-<revision>", flush=True)  # noqa: T201
        time.sleep(EVERY_SECONDS)
    os.execvp("airflow", ["airflow", "db", "check-migrations", f"--migration-wait-timeout={PATIENCE_SECONDS}"])  # noqa: S606


if __name__ == "__main__":
    main()
