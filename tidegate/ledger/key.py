"""The key of a step's work: what, if it is the same, makes doing it again pointless.

Key = sha256 of the canonical JSON of: step, contract version, image identity, the parameters the step declares, each
input's identity, the slot of time where the step is keyed by it, an output place that was asked for by name, and
the versions of secrets where the step opts in. Pod resources, retries, run ids and undeclared parameters are not in it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from tidegate.ledger.canonical import digest
from tidegate.ledger.errors import BadKey
from tidegate.ledger.identity import image_identity
from tidegate.ledger.model import Key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CONTRACT = 1
"""Of the step contract; a step that must be read differently is other work."""


class KeyedBy(StrEnum):
    """How far the run's time is part of the work."""

    NONE = "none"
    HOUR = "hour"
    MINUTE = "minute"


FORMATS = {KeyedBy.HOUR: "%Y-%m-%dT%H", KeyedBy.MINUTE: "%Y-%m-%dT%H:%M"}


def key_of(
    *,
    step: str,
    image: str,
    params: Mapping[str, object] | None = None,
    inputs: Mapping[str, Mapping[str, str]] | None = None,
    keyed_by_time: KeyedBy | str = KeyedBy.NONE,
    when: datetime | None = None,
    output: str = "",
    secrets: Mapping[str, str] | None = None,
) -> Key:
    """The key of this work.

    Args:
        step: its name.
        image: the reference the pod will use; see `image_identity`.
        params: the declared ones only, see `declared`.
        inputs: name -> identity, see `input_identity`.
        keyed_by_time: none, hour or minute.
        when: logical_date, or run_after where there is none; with a time zone.
        output: a place to publish under that was asked for by name; empty for the run's own folder.
        secrets: name -> version (a Secret's resourceVersion), only those the step opted in for.

    Raises:
        BadKey: something in it cannot identify anything; its subclass MutableImage for the image.
    """
    parts = {
        "step": step,
        "contract": CONTRACT,
        "image": image_identity(image),
        "params": dict(params or {}),
        "inputs": {name: dict(identity) for name, identity in (inputs or {}).items()},
        "time": time_slot(keyed_by_time, when),
        "output": output,
        "secrets": dict(secrets or {}),
    }
    return Key(digest=digest(parts, name="key"), parts=parts)


def declared(params: Mapping[str, object], names: Iterable[str]) -> dict[str, object]:
    """Of a run's parameters those the step declares; one that is not given stays away, its default is the image's."""
    return {name: params[name] for name in names if name in params}


def time_slot(keyed_by_time: KeyedBy | str, when: datetime | None) -> str:
    """The hour or minute in UTC that the work belongs to; empty where it belongs to none."""
    try:
        keyed = KeyedBy(keyed_by_time)
    except ValueError:
        raise BadKey(f"keyed_by_time is {keyed_by_time!r}; want none, hour or minute") from None
    if keyed is KeyedBy.NONE:
        return ""
    if when is None or when.tzinfo is None:
        raise BadKey(f"a step keyed by {keyed} needs the run's time with its time zone; got {when!r}")
    return when.astimezone(UTC).strftime(FORMATS[keyed])
