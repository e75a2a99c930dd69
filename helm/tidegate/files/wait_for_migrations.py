"""Holds an Airflow container back until the database has the tables of this very Airflow version.

Reads: Airflow's database. Writes: nothing. Again: waits as long as it takes; the Job `airflow-migrate-<revision>` does
the work. Asking Airflow itself costs five CPU seconds a container, so it is asked once, when a version is stamped.
"""

from __future__ import annotations

import os
import re
import time

import psycopg2

EVERY_SECONDS = 2.0

PATIENCE_SECONDS = 1800
"""How long Airflow itself waits for the right version, once there is any."""


def stamped() -> bool:
    """Whether the database answers and some Airflow version has made its tables."""
    url = re.sub(r"^postgresql\+\w+:", "postgresql:", os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    try:
        connection = psycopg2.connect(url, connect_timeout=5)
    except psycopg2.OperationalError:
        return False
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('alembic_version') IS NOT NULL")
            row = cursor.fetchone()
    finally:
        connection.close()
    return bool(row and row[0])


def main() -> None:
    """Wait, then become `airflow db check-migrations`."""
    while not stamped():
        print("waiting for the Job airflow-migrate-<revision> to make the tables", flush=True)  # noqa: T201
        time.sleep(EVERY_SECONDS)
    os.execvp("airflow", ["airflow", "db", "check-migrations", f"--migration-wait-timeout={PATIENCE_SECONDS}"])  # noqa: S606


if __name__ == "__main__":
    main()
