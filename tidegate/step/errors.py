"""Every way a step can end badly, and the exit code it ends with.

StepError                exit 1   failed; Airflow may try again
├── BadInput             exit 2   never tried again: only a person can mend it
│   ├── BadSettings               a variable of the pod's environment is missing or wrong
│   ├── NotFound                  an object is not there
│   │   └── NoBucket              nor is the bucket or filesystem it would lie in
│   └── AccessDenied              the store refused the credentials
├── Exists                        a create-once write met an object that is already there
├── Changed                       a conditional write met another version than the one it was made for
└── TryAgain             exit 75  the world outside is at fault: throttled, unreachable, overloaded

Stopped, a BaseException so that no library catches it: exit 143, SIGTERM.

The text of an error names what to change and never holds a secret.
"""

# Names say what happened, in the words of the contract.
# ruff: noqa: N818

from __future__ import annotations

from typing import ClassVar


class StepError(Exception):
    """A step could not do its work. `url` is the object concerned, where there is one."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, url: str = "") -> None:
        super().__init__(message)
        self.url = url


class BadInput(StepError):
    """What the step was given cannot be worked with; trying again cannot help."""

    exit_code = 2


class BadSettings(BadInput):
    """One or more settings are wrong; `faults` holds one line for each."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class NotFound(BadInput):
    """The object does not exist."""


class NoBucket(NotFound):
    """The bucket, or filesystem, that the object would lie in does not exist."""


class AccessDenied(BadInput):
    """The store knows no such credentials, or they may not do this."""


class Exists(StepError):
    """Create-once: something is already there."""


class Changed(StepError):
    """If-match: another version is there now, or none."""


class TryAgain(StepError):
    """Not the step's fault and not its input's: later it may work."""

    exit_code = 75


class Stopped(BaseException):
    """SIGTERM arrived. The code is what a shell gives a process ended by it."""

    exit_code: ClassVar[int] = 143
