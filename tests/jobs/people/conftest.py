from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.jobs.people.server import Server, postgres

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with postgres() as running:
        yield running


@pytest.fixture
def database(server: Server) -> str:
    return server.database()
