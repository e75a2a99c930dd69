from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from jobs._people.database import migrate
from tests.ledger import servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    NewDatabase = Callable[[], str]

EMPTY = """truncate people.batch, people.person_key, people.outbox cascade;
alter sequence people.person_id_seq restart; alter sequence people.commit_no restart"""


@pytest.fixture(scope="session")
def new_database() -> Iterator[NewDatabase]:
    """Empties the one database, as making another takes a thousand files; its URL."""
    with servers.postgresql() as url:

        def empty() -> str:
            with psycopg.connect(url, autocommit=True) as connection:
                migrate(connection)
                connection.execute(EMPTY)
            return url

        yield empty


@pytest.fixture
def database(new_database: NewDatabase) -> str:
    return new_database()
