"""Real database servers for tests: started on loopback in a folder of their own, as an unprivileged user, and stopped.

Needs the programs of Debian's `postgresql` and `mariadb-server`; no service of the system is touched.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pymysql
import pytest
from sqlalchemy import make_url

from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE = 90
USER = "nobody"


@contextmanager
def postgresql(**settings: str) -> Iterator[str]:
    """The administrator's address of a PostgreSQL server; `settings` are those of postgresql.conf."""
    initdb, server = _program("initdb", "/usr/lib/postgresql/*/bin"), _program("postgres", "/usr/lib/postgresql/*/bin")
    password = secrets.token_hex(8)
    with _folder() as folder:
        (folder / "password").write_text(password)
        data = folder / "data"
        made = [initdb, "-D", str(data), "-U", "admin", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "-N"]
        _run([*made, f"--pwfile={folder / 'password'}"])
        port = free_port()
        options = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "fsync": "off",
            "unix_socket_directories": "",
            **settings,
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        address = f"postgresql://admin:{password}@127.0.0.1:{port}/postgres"
        with _serving(
            [server, "-D", str(data), *arguments], folder, lambda: psycopg.connect(address).close(), stop=signal.SIGINT
        ):
            yield address


def new_database(postgresql: str, name: str) -> str:
    """The address of a new, empty database on a PostgreSQL server whose administrator's address is known."""
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.cursor().execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    return make_url(postgresql).set(database=name).render_as_string(hide_password=False)


@contextmanager
def mariadb() -> Iterator[str]:
    """The administrator's address of a MariaDB server."""
    install, server = _program("mariadb-install-db", "/usr/bin"), _program("mariadbd", "/usr/sbin")
    password, port = secrets.token_hex(8), free_port()
    with _folder() as folder:
        data = folder / "data"
        _run(
            [
                install,
                "--no-defaults",
                f"--datadir={data}",
                f"--tmpdir={folder}",
                "--skip-test-db",
                "--auth-root-authentication-method=normal",
            ]
        )
        user = "admin@'127.0.0.1'"
        make, grant = f"CREATE USER {user} IDENTIFIED BY '{password}'", f"GRANT ALL ON *.* TO {user} WITH GRANT OPTION"
        (folder / "init.sql").write_text(f"{make};\n{grant};\n")
        command = [
            server,
            "--no-defaults",
            f"--datadir={data}",
            f"--tmpdir={folder}",
            f"--socket={folder / 's'}",
            f"--init-file={folder / 'init.sql'}",
        ]
        command += [
            f"--port={port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-flush-log-at-trx-commit=0",
        ]
        command += ["--innodb-buffer-pool-size=64M", f"--pid-file={folder / 'pid'}"]
        arguments = {"host": "127.0.0.1", "port": port, "user": "admin", "password": password}
        with _serving(command, folder, lambda: pymysql.connect(**arguments).close()):
            yield f"mysql://admin:{password}@127.0.0.1:{port}/mysql"


def _program(name: str, folder: str) -> str:
    """Where a server's program is; in CI its absence is a failure, elsewhere these tests are skipped."""
    for path in [shutil.which(name), *sorted(map(str, Path("/").glob(f"{folder[1:]}/{name}")), reverse=True)]:
        if path:
            return path
    message = f"{name} is not installed; apt-get install postgresql mariadb-server"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tidegate-ledger-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, USER)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_nobody(command: list[str]) -> list[str]:
    """Database servers refuse root."""
    return (
        ["setpriv", f"--reuid={USER}", "--regid=nogroup", "--clear-groups", *command] if os.geteuid() == 0 else command
    )


def _run(command: list[str]) -> None:
    done = subprocess.run(_as_nobody(command), capture_output=True, text=True, timeout=DEADLINE, check=False, cwd="/")
    assert done.returncode == 0, f"{command[0]}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


@contextmanager
def _serving(
    command: list[str], folder: Path, connect: Callable[[], None], *, stop: signal.Signals = signal.SIGTERM
) -> Iterator[None]:
    """While it serves; `stop` ends it: PostgreSQL waits at SIGTERM for its clients to go."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(_as_nobody(command), stdout=output, stderr=output, cwd="/")
        try:
            _wait(process, connect, log)
            yield
        finally:
            process.send_signal(stop)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], connect: Callable[[], None], log: Path) -> None:
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            return connect()
        except (psycopg.OperationalError, pymysql.err.OperationalError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{error}\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.1)
