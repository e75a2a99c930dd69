"""What Data Lake Storage and its SDK say, in the words of `tidegate.step.errors`."""

# Values and clients have no types before they are looked at; clients are imported when used.
# ruff: noqa: ANN401, PLC0415

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tidegate.step.errors import AccessDenied, BadInput, Changed, Exists, NoBucket, NotFound, StepError, TryAgain
from tidegate.step.urls import split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NO_FILESYSTEM = frozenset({"FilesystemNotFound", "ContainerNotFound"})
_ENTRA = re.compile(r"HTTP Error: (\d{3})")
"""How azure-identity tells the status that Entra answered with."""
NO_ANSWER, FORBIDDEN, THROTTLED, SERVER_FAULT = 0, 403, 429, 500


class RefusedError(Exception):
    """Entra refused an identity; no error of the SDK's, which tries again whatever of its own ends a request."""


class Decided:
    """An identity whose refusal is final: only an Entra that is not well is asked again."""

    def __init__(self, identity: Any) -> None:
        self._identity = identity

    def get_token(self, *scopes: str, **options: Any) -> Any:
        """See azure.core.credentials.TokenCredential."""
        return self._ask(self._identity.get_token, *scopes, **options)

    def get_token_info(self, *scopes: str, **options: Any) -> Any:
        """See azure.core.credentials.SupportsTokenInfo."""
        return self._ask(self._identity.get_token_info, *scopes, **options)

    def close(self) -> None:
        """Hang up."""
        self._identity.close()

    @staticmethod
    def _ask(question: Callable[..., Any], *scopes: str, **options: Any) -> Any:
        from azure.core.exceptions import ClientAuthenticationError

        try:
            return question(*scopes, **options)
        except ClientAuthenticationError as error:
            if _unwell(_status(error)):
                raise
            raise RefusedError(str(error)) from error


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise what the service answered, or did not answer, as one of our errors."""
    from azure.core import exceptions as azure

    try:
        yield
    except RefusedError as error:
        raise _denied(error.__cause__, url) from None
    except azure.ClientAuthenticationError as error:
        raise _denied(error, url) from None
    except azure.HttpResponseError as error:
        raise _answered(error, url) from None
    except (azure.ServiceRequestError, azure.ServiceResponseError, azure.IncompleteReadError) as error:
        raise TryAgain(f"{url}: {error}; is the account's name right and the service up?", url=url) from None
    except AttributeError as error:  # the SDK's own, reading what Entra answered as if it were the service's
        if not isinstance(error.__context__, azure.ClientAuthenticationError):
            raise
        raise _denied(error.__context__, url) from None
    except (azure.AzureError, ValueError) as error:
        raise BadInput(f"{url} is not accepted: {error}", url=url) from None


def _answered(error: Any, url: str) -> StepError:
    status, code = int(error.status_code or 0), str(getattr(error, "error_code", "") or error.reason or "")
    filesystem, _, account = split(url).box.partition("@")
    if code.rpartition(".")[2] in NO_FILESYSTEM:
        missing = f"the filesystem {filesystem!r} of account {account!r} does not exist"
        return NoBucket(f"{missing}; create it or correct {url}", url=url)
    if status in (404, 412, 409):
        return _unmet(status, code, url)
    if status == FORBIDDEN:
        return _denied(error, url)
    if status in (NO_ANSWER, THROTTLED) or status >= SERVER_FAULT:
        return TryAgain(f"{url}: the service said {status or 'half an answer'} {code}", url=url)
    return BadInput(f"{url}: the service refused the request ({status} {code}); check the URL", url=url)


def _denied(error: Any, url: str) -> StepError:
    """RefusedError by the service, or by Entra: then there is no code but words; or Entra is not well."""
    if _unwell(status := _status(error)):
        return TryAgain(f"{url}: Entra cannot sign in now ({status})", url=url)
    said = getattr(error, "error_code", "") or str(error).partition("\n")[0][:200]
    advice = "correct $AZURE_STORAGE_KEY or $AZURE_CLIENT_SECRET, or the role of that identity"
    return AccessDenied(f"{url}: the service refused the credentials ({said}); {advice}", url=url)


def _unwell(status: int) -> bool:
    return status == THROTTLED or status >= SERVER_FAULT


def _status(error: Any) -> int:
    """Status of the answer; where azure-identity kept none, the one that it tells of."""
    told = _ENTRA.search(str(error))
    if (response := getattr(error, "response", None)) is not None:
        return int(response.status_code)
    return int(told[1]) if told else 0


def _unmet(status: int, code: str, url: str) -> StepError:
    if status == 404:  # noqa: PLR2004
        return NotFound(f"{url} does not exist; correct the URL or write the object first", url=url)
    if status == 412:  # noqa: PLR2004
        return Changed(f"{url} is no longer the version it was", url=url)
    if code.rpartition(".")[2] in {"PathAlreadyExists", "BlobAlreadyExists"}:
        return Exists(f"{url} exists already", url=url)
    return TryAgain(f"{url}: the service said {status} {code}", url=url)
