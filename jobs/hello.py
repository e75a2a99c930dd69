"""Greets someone: the smallest step there is, to see that a pod, its settings and its store work.

Reads: nothing. Writes: `greeting.txt` under the output. Again: the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.step import Prefix, Result, Store, param, publish


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What hello can be told."""

    name: str = param("world", at_least=1, at_most=200)
    """Who is greeted."""
    output: Prefix
    """Where the greeting goes."""


def run(settings: Settings, store: Store) -> Result:
    """Write the greeting."""
    greeting = f"Hello, {settings.name}!"
    output = publish(store, "greeting", settings.output / "greeting.txt", f"{greeting}\n".encode())
    return Result(outputs=(output,), summary=" ".join(greeting.split()))
