"""What Azure or its SDK says went wrong, in the words and exit codes of the step contract.

401, no token          AccessDenied   2   the identity is refused
403                    AccessDenied   2   it may not do this
404                    NotFound       2
400 and alike          BadInput       2   with what Azure says of it
408, 409, 429, 5xx     TryAgain      75
unreachable, torn      TryAgain      75
a specification        BadInput       2   with what the SDK says of it
an operation           StepError      1   that Azure accepted and that failed
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from azure.ai.ml.exceptions import ErrorCategory, MlException, ValidationException
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from marshmallow.exceptions import ValidationError

from tidegate.step import AccessDenied, BadInput, NotFound, StepError, TryAgain

if TYPE_CHECKING:
    from collections.abc import Iterator

UNAUTHORIZED, FORBIDDEN, MISSING, TIMEOUT, CONFLICT, THROTTLED, SERVER_FAULT = 401, 403, 404, 408, 409, 429, 500
REFUSED = 400
_STATUS = re.compile(r"HTTP Error: (\d{3})")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
MOST = 1500
"""Characters of what Azure says."""


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Whatever Azure raises inside, raised as an error of the step contract; `doing` begins its text."""
    try:
        yield
    except (AzureError, OSError) as error:
        raise translated(error, doing) from error


def translated(error: Exception, doing: str) -> StepError:
    """The same in words of ours; its text names what was done and what to change."""
    if isinstance(error, ClientAuthenticationError):
        return _refused(error, doing)
    if isinstance(error, HttpResponseError):
        return _by_status(error, doing)
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return TryAgain(f"{doing}: Azure does not answer: {text(error)}")
    if isinstance(error, MlException):
        return _by_sdk(error, doing)
    return StepError(f"{doing}: {type(error).__name__}: {text(error)}")


def text(error: BaseException) -> str:
    """What it says, on few lines, without the SDK's colours."""
    said = _COLOURS.sub("", str(getattr(error, "message", "") or error))
    lines = [line.strip() for line in said.partition("\nResolutions:")[0].splitlines() if line.strip()]
    return "\n".join(lines)[:MOST] or type(error).__name__


def _refused(error: ClientAuthenticationError, doing: str) -> StepError:
    found = _STATUS.search(text(error))  # the library for identities keeps no response, but its text
    response = getattr(error, "response", None)
    status = response.status_code if response is not None else int(found[1]) if found else UNAUTHORIZED
    if status == THROTTLED or status >= SERVER_FAULT:
        return TryAgain(f"{doing}: Entra cannot sign in now: {text(error)}")
    advice = "correct the connection's client id, secret and tenant, or the pod's identity"
    return AccessDenied(f"{doing}: 401, the identity is refused: {text(error)}\n{advice}")


def _by_status(error: HttpResponseError, doing: str) -> StepError:
    status = error.status_code or 0
    said = f"{doing}: {status}: {text(error)}"
    if status == UNAUTHORIZED:
        return AccessDenied(f"{said}\ncorrect the connection's client id, secret and tenant, or the pod's identity")
    if status == FORBIDDEN:
        return AccessDenied(f"{said}\ngive the identity the role Contributor on the workspace's resource group")
    if status == MISSING:
        return NotFound(said)
    if status in (TIMEOUT, CONFLICT, THROTTLED) or status >= SERVER_FAULT:
        return TryAgain(said)
    if status >= REFUSED:
        return BadInput(said)
    return StepError(f"{doing}: {text(error)}")  # an operation that was accepted, and failed later


def _by_sdk(error: MlException, doing: str) -> StepError:
    causes = [error, error.__cause__, error.__context__]
    for cause in causes:
        if isinstance(cause, HttpResponseError):
            return translated(cause, doing)
    if any(isinstance(cause, ValidationException | ValidationError) for cause in causes):
        return BadInput(f"{doing}: {text(error)}")
    kind = BadInput if error.error_category == ErrorCategory.USER_ERROR else StepError
    return kind(f"{doing}: {text(error)}")
