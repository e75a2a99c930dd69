"""Health of one Airflow component, as a probe asks for it: `python heartbeat.py SchedulerJob`.

Reads: the newest heartbeat of this pod's job in Airflow's database. Writes: nothing. Costs a twentieth of a CPU second,
where `airflow jobs check` imports Airflow and costs five.

Exit 0: the heartbeat is younger than `FRESH_SECONDS`. Exit 1: it is older, or there is none yet. Exit 0 as well when
the database does not answer: restarting this container would not bring it back, and would lose running work.
"""

from __future__ import annotations

import os
import re
import socket
import sys

import psycopg2

FRESH_SECONDS = 120
"""Airflow beats every 5 seconds; a 2-core node under load may skip some."""

AGE = """
SELECT EXTRACT(EPOCH FROM now() - max(latest_heartbeat))
FROM job WHERE job_type = %s AND state = 'running' AND split_part(hostname, '.', 1) = %s
"""


def url() -> str:
    """Airflow's database as libpq wants it: without SQLAlchemy's driver name."""
    return re.sub(r"^postgresql\+\w+:", "postgresql:", os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])


def age(job_type: str) -> float | None:
    """Seconds since this host's job of that type was last seen, or None where it never was."""
    connection = psycopg2.connect(url(), connect_timeout=5, options="-c statement_timeout=5000")
    try:
        with connection.cursor() as cursor:
            cursor.execute(AGE, (job_type, socket.gethostname()))
            row = cursor.fetchone()
    finally:
        connection.close()
    return None if row is None or row[0] is None else float(row[0])


def main(job_type: str) -> int:
    """Print what was found, which is what `kubectl describe` shows, and return the exit code."""
    try:
        seconds = age(job_type)
    except psycopg2.OperationalError as error:
        print(f"cannot tell, the database does not answer: {error}")  # noqa: T201
        return 0
    print(f"{job_type} on {socket.gethostname()}: last heartbeat {seconds} s ago, wanted < {FRESH_SECONDS}")  # noqa: T201
    return 0 if seconds is not None and seconds < FRESH_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
