"""The servers of this rung, and a ledger for each test."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.steps.servers import plane, postgresql
from tidegate.ledger.migrate import migrate

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["plane", "postgresql"]


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger, to be copied: all migrations take as long as a short test."""
    file = tmp_path_factory.mktemp("migrated") / "ledger.db"
    migrate(f"sqlite:///{file}")
    assert [path.name for path in file.parent.iterdir()] == [file.name], "no journal is left beside it"
    return file


@pytest.fixture
def address(migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a ledger of the test's own, which the trigger asks."""
    address = f"sqlite:///{shutil.copy(migrated, tmp_path / 'ledger.db')}"
    monkeypatch.setenv("TIDEGATE_LEDGER_URL", address)
    monkeypatch.setenv("TIDEGATE_LEDGER_SPOOL", str(tmp_path / "spool"))
    return address
