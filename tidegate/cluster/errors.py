"""What can go wrong between a bare machine and a running cluster; every message says what to change.

ClusterError
|- MissingProgram     a program that must be there is not, and cannot be had from here
|- CommandFailed      a command ended with another code than 0; carries the tail of its output
|- Refused            a registry did not take or give an image
|- Unsuitable         the machine cannot do what is asked (doctor's fatal findings)
"""
# ruff: noqa: N818 - these are read as words: raise Unsuitable("what to change")

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ClusterError(Exception):
    """Base of all faults of this package; its text is meant for people."""


class MissingProgram(ClusterError):
    """A program is neither on PATH nor obtainable."""


class Refused(ClusterError):
    """A registry did not take or give an image; the text says what it said, and what to do.

    Attributes:
        closed: The registry, where it would refuse every other image too: it is away, or wants another account.
    """

    def __init__(self, text: str, *, closed: str = "") -> None:
        self.closed = closed
        super().__init__(text)


class Unsuitable(ClusterError):
    """This machine lacks something that no retry will bring."""


class CommandFailed(ClusterError):
    """A command failed.

    Attributes:
        command: The command's words.
        code: Its exit code, negative for a signal.
        tail: The last lines of what it printed.
        log: The file with all of its output, if it was kept.
    """

    def __init__(self, command: Sequence[str], code: int, tail: str, *, log: Path | None = None) -> None:
        self.command, self.code, self.tail, self.log = tuple(command), code, tail, log
        where = f"\n(all of it: {log})" if log else ""
        super().__init__(f"`{shlex.join(command)}` ended with code {code}:\n{tail}{where}")
