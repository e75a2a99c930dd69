"""Servers for as long as a file of tests, and an Airflow home of their own before anything imports Airflow.

A rung that wants them imports them into its conftest.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="tidegate-airflow-"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")

from tests.ledger.fixtures import postgresql
from tests.steps.control_plane import ControlPlane

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["plane", "postgresql"]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A Kubernetes API server with a kubelet of processes."""
    with ControlPlane(tmp_path_factory.mktemp("plane")) as plane:
        yield plane
