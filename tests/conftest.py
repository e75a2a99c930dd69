"""What holds for every rung: the cheap rungs may not talk to anything but this machine."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
gc.set_threshold(100_000, 50, 50)  # to look for garbage as often as by default is a sixth of what loading Airflow takes
OFFLINE = ("static", "steps", "cli", "jobs", "dags", "helm", "browser", "cluster_units")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the offline rungs, so that pytest-socket lets them reach loopback only."""
    for item in items:
        if item.path.relative_to(HERE).parts[0] in OFFLINE:
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1", "::1"]))
