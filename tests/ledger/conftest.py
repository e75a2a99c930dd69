"""One suite, three databases: every test that takes `db` or `ledger` runs on PostgreSQL, MariaDB and SQLite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
import pymysql
import pytest
from sqlalchemy import delete, make_url

from tests.ledger import servers
from tests.ledger.world import Stores
from tidegate.ledger import Ledger, Spool
from tidegate.ledger.address import open_engine
from tidegate.ledger.migrate import migrate
from tidegate.ledger.tables import ledger_admission, ledger_row, ledger_use

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

KINDS = ("postgresql", "mariadb", "sqlite")


@dataclass(frozen=True)
class Server:
    """A running server, or a folder for SQLite's files."""

    kind: str
    admin: str
    folder: Path

    def new(self, name: str) -> str:
        """The address of a new, empty database."""
        if self.kind == "sqlite":
            return f"sqlite:///{self.folder / name}.db"
        url = make_url(self.admin)
        with self.connect() as connection:
            connection.cursor().execute(f"CREATE DATABASE {name}")
        return url.set(database=name).render_as_string(hide_password=False)

    def connect(self) -> psycopg.Connection | pymysql.Connection:
        """As administrator."""
        url = make_url(self.admin)
        if self.kind == "postgresql":
            return psycopg.connect(self.admin, autocommit=True)
        return pymysql.connect(host=url.host, port=url.port, user=url.username, password=url.password, autocommit=True)


@pytest.fixture(scope="session", autouse=True)
def certificates_read_once() -> Iterator[None]:
    """Where nobody asks for TLS, pymysql reads the machine's certificates for each connection: 25 ms of a core."""
    made: list[ssl.SSLContext] = []
    create = pymysql.connections.Connection._create_ssl_ctx

    def once(connection: pymysql.Connection, asked: dict[str, str]) -> ssl.SSLContext:
        if asked:
            return create(connection, asked)
        if not made:
            made.append(create(connection, asked))
        return made[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pymysql.connections.Connection, "_create_ssl_ctx", once)
        yield


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers.postgresql() as admin:
        yield Server("postgresql", admin, tmp_path_factory.mktemp("postgresql"))


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers.mariadb() as admin:
        yield Server("mariadb", admin, tmp_path_factory.mktemp("mariadb"))


@pytest.fixture(scope="session")
def sqlite_server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    return Server("sqlite", "", tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session", params=KINDS)
def server(request: pytest.FixtureRequest) -> Server:
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture(scope="session")
def migrated(server: Server) -> str:
    """A database with the ledger's tables, shared by all tests of a kind."""
    address = server.new("shared")
    migrate(address)
    return address


@pytest.fixture
def db(migrated: str) -> str:
    """The shared database, emptied."""
    engine = open_engine(migrated)
    with engine.begin() as connection:
        for table in (ledger_use, ledger_row, ledger_admission):
            connection.execute(delete(table))
    engine.dispose()
    return migrated


@pytest.fixture
def stores() -> Stores:
    return Stores()


@pytest.fixture
def opened(db: str, stores: Stores, tmp_path: Path) -> Iterator[Callable[..., Ledger]]:
    """Makes ledgers on the emptied database; they are closed at the end."""
    made: list[Ledger] = []

    def make(**options: object) -> Ledger:
        made.append(Ledger(db, **{"probe": stores, "spool": Spool(tmp_path / "spool")} | options))
        return made[-1]

    yield make
    for ledger in made:
        ledger.shut()


@pytest.fixture
def ledger(opened: Callable[..., Ledger]) -> Ledger:
    return opened()
