"""Gives every part of Tidegate a database and a role of its own on a PostgreSQL of the chart's.

Reads: `PGHOST` (also the name of the server's Secret and StatefulSet), `PGUSER` and `PGPASSWORD` of the administrator,
and every `DATABASE_URL_<NAME>`, which is `postgresql://role:password@host/database`.
Writes: a role with that password, and a database that it owns. Again: changes nothing but the password, if that is
another. Waits for the server as long as the Job lives, so that the two may start in any order.
"""

from __future__ import annotations

import os
import time
from urllib.parse import unquote, urlsplit

import psycopg2
from psycopg2 import sql

EVERY_SECONDS = 2.0

OTHER_VOLUME = (
    "PostgreSQL refuses the password in the Secret {server}: its volume was made with another one. "
    "Put the old password back, or delete the claim data-{server}-0 with all that is in it"
)
"""The volume outlives the release, and so does the Secret, unless somebody deletes it."""


def connect() -> psycopg2.extensions.connection:
    """The administrator's connection, as soon as the server answers."""
    while True:
        try:
            connection = psycopg2.connect(dbname="postgres", connect_timeout=5)
        except psycopg2.OperationalError as error:
            if "password authentication failed" in str(error):
                raise SystemExit(OTHER_VOLUME.format(server=os.environ["PGHOST"])) from None
            print(f"waiting for PostgreSQL: {str(error).strip()}", flush=True)  # noqa: T201
            time.sleep(EVERY_SECONDS)
        else:
            connection.autocommit = True
            return connection


def create(cursor: psycopg2.extensions.cursor, url: str) -> str:
    """Make the role and the database of one URL; returns the database's name."""
    parts = urlsplit(url)
    role, password, database = unquote(parts.username or ""), unquote(parts.password or ""), parts.path.strip("/")
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))
    verb = "ALTER" if cursor.fetchone() else "CREATE"
    statement = sql.SQL(verb + " ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
    cursor.execute(statement)
    cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
    if not cursor.fetchone():
        cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(role)))
        cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))
    return database


def main() -> None:
    """One line for each database, never with a password in it."""
    urls = [value for name, value in sorted(os.environ.items()) if name.startswith("DATABASE_URL_")]
    with connect().cursor() as cursor:
        for url in urls:
            print(f"database {create(cursor, url)} is there", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
