"""Every test of this rung has a cache of its own, and touches neither the engine nor the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of this test; returns its folder."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TIDEGATE_CACHE", str(folder))
    return folder
