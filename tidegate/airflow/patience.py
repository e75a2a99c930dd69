"""How long a step's pod may wait for what: budgets from the DAG file, and the clocks that count them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.airflow.failures import FOR_GOOD, Kind

if TYPE_CHECKING:
    from tidegate.airflow.failures import Waiting

GRACE_FOR_GOOD = 3.0
"""Seconds a fault that waiting does not mend has to last: a Secret may be a moment late."""


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """How long to wait for what, in seconds."""

    start: float = 600.0
    """From the pod's creation to its main process, images included."""
    schedule: float = 1800.0
    """For a node with room."""
    total: float | None = None
    """From the first attempt to the end; None leaves it to the pod's activeDeadlineSeconds."""


class Patience:
    """Clocks for what a pod may wait for; a fault that cannot mend itself has a short one."""

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets
        self._begun = self._kind_since = asyncio.get_running_loop().time()
        self._scheduling = 0.0
        self._kind: Kind | None = None

    @property
    def waited(self) -> float:
        """Seconds since the pod was first seen."""
        return asyncio.get_running_loop().time() - self._begun

    def left(self, waiting: Waiting) -> float:
        """Return seconds left of the budget that counts for this kind of wait."""
        now = asyncio.get_running_loop().time()
        if waiting.kind is not self._kind:
            if self._kind is Kind.UNSCHEDULABLE:
                self._scheduling += now - self._kind_since
            self._kind, self._kind_since = waiting.kind, now
        if waiting.kind in FOR_GOOD:
            return GRACE_FOR_GOOD - (now - self._kind_since)
        if waiting.kind is Kind.UNSCHEDULABLE:
            return self._budgets.schedule - self._scheduling - (now - self._kind_since)
        return self._budgets.start + self._scheduling - self.waited
