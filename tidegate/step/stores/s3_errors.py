"""What S3 and botocore say, in the words of `tidegate.step.errors`.

Only the code and the message of an answer are passed on: the rest of it quotes keys and signatures.
"""

# Values and clients have no types before they are looked at; clients are imported when used.
# ruff: noqa: ANN401, PLC0415

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tidegate.step.errors import AccessDenied, BadInput, BadSettings, Changed, NoBucket, NotFound, StepError, TryAgain
from tidegate.step.urls import split

if TYPE_CHECKING:
    from collections.abc import Iterator

MISSING = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchUpload", "NoSuchVersion"})
"""The object is not there."""

UNMET = frozenset({"412", "PreconditionFailed"})
"""If-match or if-none-match did not hold."""

BUSY = frozenset(
    {"409", "429", "ConditionalRequestConflict", "InternalError", "OperationAborted", "RequestTimeout", "SlowDown"}
    | {"ServiceUnavailable", "Throttling", "ThrottlingException", "TooManyRequests", "RequestTimeTooSkewed"}
)
"""Later it may work."""

NO_CREDENTIALS = "set $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY, or give the pod's service account a role"
SERVER_FAULT = 500


def code_of(error: Any) -> str:
    """The code of a botocore ClientError."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise what S3 answered, or did not answer, as one of our errors."""
    from botocore import exceptions as boto

    try:
        yield
    except boto.ClientError as error:
        raise _answered(error, url) from None
    except (boto.NoCredentialsError, boto.PartialCredentialsError) as error:
        raise BadSettings(f"{url}: {error}; {NO_CREDENTIALS}") from None
    except (boto.ParamValidationError, boto.InvalidRegionError, ValueError) as error:
        raise BadInput(f"{url} is not accepted: {error}", url=url) from None
    except (boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError) as error:
        raise TryAgain(f"{url}: {error}; is $AWS_ENDPOINT_URL_S3 right and the server up?", url=url) from None
    except boto.BotoCoreError as error:
        raise StepError(f"{url}: {error}", url=url) from None


def _answered(error: Any, url: str) -> StepError:
    code, bucket = code_of(error), split(url).box
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = f"{code}: {error.response.get('Error', {}).get('Message', '')}"
    if code in UNMET:
        return Changed(f"{url} is no longer the version it was", url=url)
    if code == "NoSuchBucket":
        return NoBucket(f"the bucket {bucket!r} of {url} does not exist; create it or correct the URL", url=url)
    if code in MISSING:
        return NotFound(f"{url} does not exist; correct the URL or write the object first", url=url)
    if code in BUSY or status >= SERVER_FAULT:
        return TryAgain(f"{url}: the server said {said}", url=url)
    return _refused(status, said, url)


def _refused(status: int, said: str, url: str) -> StepError:
    if status in (401, 403) or said.startswith("XAdminUserNotFound"):
        advice = "correct $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY, or what they may do"
        return AccessDenied(f"{url}: the server refused the credentials ({said}); {advice}", url=url)
    return BadInput(f"{url}: the server refused the request ({said}); check the URL, $AWS_REGION", url=url)
