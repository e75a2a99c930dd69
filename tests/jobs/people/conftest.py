from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.ledger import servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    NewDatabase = Callable[[], str]


@pytest.fixture(scope="session")
def new_database() -> Iterator[NewDatabase]:
    """Makes an empty database on a server of the tests' own; its URL."""
    numbers = count(1)
    with servers.postgresql() as admin, psycopg.connect(admin, autocommit=True) as connection:

        def make() -> str:
            name = f"people_{next(numbers)}"
            connection.execute(f"create database {name}")
            return f"{admin.rpartition('/')[0]}/{name}"

        yield make


@pytest.fixture
def database(new_database: NewDatabase) -> str:
    return new_database()
