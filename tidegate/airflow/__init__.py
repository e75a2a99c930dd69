"""Airflow's side: `step()`, which a DAG file is made of, and what stands behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.airflow.steps import step

__all__ = ["step"]


def __getattr__(name: str) -> object:
    """Import `step` when it is asked for: the triggerer and the CronJob need not load an operator for it."""
    if name != "step":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tidegate.airflow.steps import step  # noqa: PLC0415 - see above

    return step
