"""The states of a job, in the words of Azure. Pure."""

from __future__ import annotations

from enum import Enum

COMPLETED, CANCELED, FAILED = "Completed", "Canceled", "Failed"

QUEUED = frozenset({"NotStarted", "Starting", "Provisioning", "Preparing", "Queued", "Scheduled", "Unknown"})
"""It does not run yet: the time for running does not count."""

ACTIVE = QUEUED | frozenset({"Running", "Finalizing", "CancelRequested"})
"""It goes on. All else is an end: Completed, Failed, Canceled, NotResponding, Paused."""


def word(state: object) -> str:
    """A state as Azure writes it: the SDK has some of them as text, some as members of an enumeration."""
    return str(state.value if isinstance(state, Enum) else state or "")
