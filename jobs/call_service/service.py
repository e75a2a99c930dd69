"""A service that may be called: what the chart's values say of it, looked at before it is believed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from tidegate.step import BadInput, BadSettings
from tidegate.step.web import Call, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegate.step import Secret, Secrets

CHOICES: dict[str, tuple[str, ...]] = {
    "method": ("GET", "POST", "PUT", "PATCH", "DELETE"),
    "auth": ("none", "bearer", "api_key"),
    "key_in": ("header", "query"),
    "reply": ("json", "any"),
}
"""What these keys may say."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """One entry of `services`; the names are those of the values, with `_`."""

    name: str
    url: str
    method: str = "POST"
    auth: str = "none"
    """none; bearer: `Authorization: Bearer`; api_key: `key_name` in a header or in the query."""
    key_in: str = "header"
    key_name: str = "X-API-Key"
    reply: str = "json"
    """json: the answer must be JSON; any: it is kept whatever it is."""
    timeout: float = 30
    """Seconds for one try."""
    max_bytes: int = 1024 * 1024
    """Of the answer."""
    tries: int = 4
    """When it is throttling, broken or slow."""

    @property
    def variable(self) -> str:
        """Where its secret is; empty where it has none."""
        kind = {"bearer": "TOKEN", "api_key": "KEY"}.get(self.auth)
        return f"SERVICE_{self.name.upper()}_{kind}" if kind else ""

    @property
    def limits(self) -> Limits:
        """What one call may take."""
        return Limits(timeout=self.timeout, max_bytes=self.max_bytes, tries=self.tries)

    def call(self, body: bytes, secrets: Secrets, *, token: str) -> Call:
        """The request; `token` is the same for every try of one task, so that the service can tell them."""
        headers: dict[str, str | Secret] = {"Accept": "application/json" if self.reply == "json" else "*/*"}
        if body:
            headers["Content-Type"] = "application/json"
        if self.method not in ("GET", "DELETE"):
            headers["Idempotency-Key"] = token
        query: dict[str, str | Secret] = {}
        if self.variable:
            secret = _secret(self, secrets)
            if self.auth == "bearer":
                headers["Authorization"] = type(secret)(f"Bearer {secret.reveal()}")
            else:
                (headers if self.key_in == "header" else query)[self.key_name] = secret
        return Call(url=self.url, method=self.method, query=query, headers=headers, body=body)


def named(name: str, services: Mapping[str, Any]) -> Service:
    """The service of that name.

    Raises:
        BadInput: It is not listed.
        BadSettings: Its entry cannot be used.
    """
    if name not in services:
        listed = ", ".join(sorted(services)) or "none"
        raise BadInput(f"the service {name!r} is not listed (listed: {listed}); add services.{name} to the values")
    entry = services[name]
    known = {field.name for field in fields(Service)} - {"name"}
    if not isinstance(entry, dict) or not isinstance(entry.get("url"), str) or (entry.keys() - known):
        raise BadSettings(f"$TIDEGATE_SERVICES.{name} is unusable; want url, and some of {', '.join(sorted(known))}")
    wrong = [key for key, choices in CHOICES.items() if entry.get(key, choices[0]) not in choices]
    if wrong:
        raise BadSettings(*(f"$TIDEGATE_SERVICES.{name}.{key}: want one of {', '.join(CHOICES[key])}" for key in wrong))
    return Service(name=name, **entry)


def _secret(service: Service, secrets: Secrets) -> Secret:
    try:
        return secrets[service.variable]
    except KeyError:
        where = "the Secret of the step call_service"
        raise BadSettings(f"${service.variable} is not set; put it into {where}: {service.name} wants it") from None
