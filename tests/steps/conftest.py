"""The servers of this rung, and a ledger for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.steps.servers import plane, postgresql
from tidegate.ledger.migrate import migrate

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["plane", "postgresql"]


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a ledger of the test's own, which the trigger asks."""
    address = f"sqlite:///{tmp_path}/ledger.db"
    migrate(address)
    monkeypatch.setenv("TIDEGATE_LEDGER_URL", address)
    monkeypatch.setenv("TIDEGATE_LEDGER_SPOOL", str(tmp_path / "spool"))
    return address
