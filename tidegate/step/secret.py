"""Secrets that do not leak: `Secret` shows nothing of itself, `Redacted` cleans what is printed.

Reads: the environment, to know which values must never be printed. Writes: nothing.
"""

# ruff: noqa: ANN401

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SHORTEST = 6
"""Values shorter than this many characters are not looked for: `***` in every other word would hide the message."""

_NAMES = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|CONNECTION_STRING|KEY(?!S?_ID$)")
_NOT_SECRET = re.compile(r"_(FILE|PATH|URI|URL|ID|NAME|ENDPOINT)$|^TIDEGATE_")


class Secret:
    """A value that is only had by asking for it: `secret.reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a Secret cannot be pickled; read it from the environment where it is needed")


class Secrets(dict[str, Secret]):
    """Several secrets, by the names of their variables."""

    __slots__ = ()


def secret_values(environ: Mapping[str, str], *, declared: Iterable[str] = ()) -> set[str]:
    """The values of the `declared` variables and of those named like a secret, also as they stand inside a URL."""
    names = {name for name in environ if _NAMES.search(name) and not _NOT_SECRET.search(name)} | set(declared)
    plain = {environ[name] for name in names if len(environ.get(name, "")) >= SHORTEST}
    return plain | {form(value) for value in plain for form in (quote, quote_plus, _quote_all)}


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with `***` for every secret in it, longest first so that no tail of one remains."""
    for value in sorted(secrets, key=len, reverse=True):
        text = text.replace(value, "***")
    return text


class Redacted:
    """A text stream that passes whole lines on to `stream`, with `***` for every secret in them."""

    def __init__(self, stream: TextIO, secrets: Iterable[str]) -> None:
        self._stream = stream
        self._secrets = frozenset(secrets)
        self._held = ""

    def write(self, text: str) -> int:
        """Pass on all whole lines; what follows the last newline waits for its end."""
        lines, newline, self._held = (self._held + text).rpartition("\n")
        self._stream.write(redact(lines + newline, self._secrets))
        return len(text)

    def flush(self) -> None:
        """Pass on what is held too."""
        self._stream.write(redact(self._held, self._secrets))
        self._held = ""
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _quote_all(value: str) -> str:
    return quote(value, safe="")
