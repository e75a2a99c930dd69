"""A database server for as long as a file of tests; who imports it into its conftest need not load Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.ledger import servers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The administrator's address of a PostgreSQL server."""
    with servers.postgresql() as address:
        yield address
