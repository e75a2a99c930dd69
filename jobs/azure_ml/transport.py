"""The way every call of the SDK takes: it decides what may be asked twice.

The SDK repeats a POST after 500, 503, 504 and after a lost answer, and one batch invocation started about 50 jobs so
(Azure/azure-sdk-for-python#31166). What Resource Manager is asked has names and may be repeated; a POST to anywhere
else, such as a scoring URI, is sent once. A throttled caller that shall wait for long is told so at once.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport

from tidegate.step import TryAgain

LONGEST_WAIT = 120.0
"""Seconds that a Retry-After may ask for; a longer wait is left to the next try."""

THROTTLED, SERVER_FAULT = 429, 500
NAMED = "/subscriptions/"
"""How the path of everything begins that Resource Manager is asked for."""


class Unanswered(TryAgain):
    """A POST that may have been carried out: whether it was is to be looked up before it is sent again."""


class Transport(RequestsTransport):  # type: ignore[misc]  # it is loaded lazily
    """Sends requests; raises what must not be tried again in a form that the SDK does not catch."""

    def send(self, request: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the SDK's own, old and new
        """Send one request, once.

        Raises:
            Unanswered: It was a POST without a name, and may have been carried out.
            TryAgain: The server wants a longer wait than `LONGEST_WAIT`.
        """
        once = request.method == "POST" and not urlsplit(request.url).path.startswith(NAMED)
        try:
            response = super().send(request, **kwargs)
        except ServiceResponseError as error:
            if once:
                raise Unanswered(f"POST {_public(request.url)} was not answered: {type(error).__name__}") from None
            raise
        if response.status_code == THROTTLED and _seconds(response) > LONGEST_WAIT:
            raise TryAgain(f"{request.method} {_public(request.url)} is throttled for {_seconds(response):.0f} s")
        if once and response.status_code >= SERVER_FAULT:
            raise Unanswered(f"POST {_public(request.url)} was answered with {response.status_code}")
        return response


def _public(url: str) -> str:
    return str(url).partition("?")[0]


def _seconds(response: Any) -> float:  # noqa: ANN401
    text = str(response.headers.get("Retry-After") or "")
    return float(text) if text.isdecimal() else 0.0
