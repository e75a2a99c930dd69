"""An Airflow home of its own for this rung, before anything imports Airflow; and servers for as long as a file."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="tidegate-airflow-"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")

from tests.ledger import servers
from tests.steps.control_plane import ControlPlane
from tidegate.ledger.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a ledger of the test's own, which the trigger asks."""
    address = f"sqlite:///{tmp_path}/ledger.db"
    migrate(address)
    monkeypatch.setenv("TIDEGATE_LEDGER_URL", address)
    monkeypatch.setenv("TIDEGATE_LEDGER_SPOOL", str(tmp_path / "spool"))
    return address


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A Kubernetes API server with a kubelet of processes."""
    with ControlPlane(tmp_path_factory.mktemp("plane")) as plane:
        yield plane


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The administrator's address of a PostgreSQL server."""
    with servers.postgresql() as address:
        yield address
