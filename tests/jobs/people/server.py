"""A PostgreSQL of the test's own: Debian's server on loopback, as an unprivileged user, gone with its folder.

Reads: the newest server under /usr/lib/postgresql, or one on PATH. Writes: a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

_PASSWORD = "loopback-only"


class Server:
    """A running server; `database()` makes an empty database and gives its URL."""

    def __init__(self, port: int) -> None:
        self._admin = f"postgresql://people:{_PASSWORD}@127.0.0.1:{port}/postgres"
        self._count = 0

    def database(self) -> str:
        self._count += 1
        name = f"people_{self._count}"
        with psycopg.connect(self._admin, autocommit=True) as connection:
            connection.execute(f'create database "{name}"')
        return self._admin.removesuffix("postgres") + name


@contextmanager
def postgres(**settings: str) -> Iterator[Server]:
    """Start a server; `settings` are those of postgresql.conf."""
    folder = Path(tempfile.mkdtemp(prefix="people-pg-"))
    try:
        password = folder / "password"
        password.write_text(_PASSWORD)
        _own(folder, password)
        _run("initdb", "-D", str(folder / "data"), "-U", "people", "-A", "scram-sha-256", "--pwfile", str(password),
             "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync")  # fmt: skip
        port = _free_port()
        options = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": "",
                   "fsync": "off", "max_connections": "60", **settings}  # fmt: skip
        text = " ".join(f"-c {name}={value}" if value else f"-c {name}=" for name, value in options.items())
        _run("pg_ctl", "-D", str(folder / "data"), "-w", "-t", "60", "-l", str(folder / "log"), "-o", text, "start")
        try:
            yield Server(port)
        finally:
            _run("pg_ctl", "-D", str(folder / "data"), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    program = str(found[-1]) if found else shutil.which(name)
    if program is None:
        raise RuntimeError(f"there is no {name}; apt-get install postgresql")
    return program


def _run(name: str, *arguments: str) -> None:
    command = [_program(name), *arguments]
    if os.getuid() == 0:
        command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", text=True)
    if done.returncode:
        raise RuntimeError(f"{name} failed: {done.stderr}")


def _own(*paths: Path) -> None:
    if os.getuid() == 0:
        for path in paths:
            shutil.chown(path, "nobody", "nogroup")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
