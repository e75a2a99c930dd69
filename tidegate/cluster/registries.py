"""Pushes to and pulls from image registries by the engine; where one refuses, what it said and what to do about it.

Reads: the engine and its accounts (`docker login`). Writes: the registry that a reference begins with, or the engine.
Again: a layer that is there is not sent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tidegate.cluster import commands, engine
from tidegate.cluster.errors import CommandFailed, Refused

DEFAULT: Final = "docker.io"


@dataclass(frozen=True, kw_only=True)
class Hint:
    """What to do about a refusal."""

    says: tuple[str, ...]
    """What an engine or a copier says then, in the words of the registry or of Go; one of them is enough."""
    do: str
    closed: bool = True
    """Whether the registry would refuse every other image too."""


HINTS: Final = (
    Hint(
        says=("HTTP response to HTTPS client",),
        do='it speaks plain HTTP: add "{host}" to `insecure-registries` in the engine\'s daemon.json, or give it TLS',
    ),
    Hint(
        says=("x509", "certificate"),
        do="put the authority of its certificate into /etc/docker/certs.d/{host}/ca.crt",
    ),
    Hint(
        says=("no basic auth credentials", "unauthorized", "authentication required"),
        do="sign in with an account that it knows: docker login {host}",
    ),
    Hint(
        says=("denied", "forbidden"),
        do="sign in with an account that may do that: docker login {host}",
        closed=False,
    ),
    Hint(
        says=("connection refused", "no such host", "no route to host", "timeout", "deadline exceeded", "unreachable"),
        do="no registry answers at {host}: see to that name and port, and to the way there",
    ),
)


def host(ref: str) -> str:
    """The registry that a reference is kept in, such as `registry.example:5000`; `docker.io` where it names none."""
    first, slash, _ = ref.partition("/")
    return first if slash and (first == "localhost" or set(".:") & set(first)) else DEFAULT


def push(ref: str, *, log: str) -> None:
    """Push an image of the engine to the registry that its name begins with; raises Refused."""
    _run("push", ref, log)


def pull(ref: str, *, log: str) -> None:
    """Pull an image into the engine; raises Refused."""
    _run("pull", ref, log)


def _run(verb: str, ref: str, log: str) -> None:
    try:
        commands.run([engine.docker(), verb, ref], log=log)
    except CommandFailed as error:
        raise refused(error, host(ref)) from error


def refused(error: CommandFailed, at: str) -> Refused:
    """What a program said last, and what to do about it where that is known; `at` is the registry."""
    lines = [line.strip() for line in error.tail.splitlines() if line.strip()]
    said = lines[-1] if lines else f"it ended with code {error.code}"
    hint = next((hint for hint in HINTS if any(word.lower() in said.lower() for word in hint.says)), None)
    if hint is None:
        return Refused(said)
    return Refused(f"{said}; {hint.do.format(host=at)}", closed=at if hint.closed else "")
