"""What ends a command with a message instead of a traceback: `Fault`, and its cousins below `ClusterError`."""

from __future__ import annotations

from tidegate.cluster.errors import ClusterError


class Fault(ClusterError):  # noqa: N818 - read as a word: raise Fault("what to change")
    """A failure that the person at the keyboard can act on; its text says what is wrong and what to change."""
