"""A specification as a document: read from YAML, with values laid over it. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from tidegate.step import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping


def parsed(source: str) -> dict[str, Any]:
    """The document; BadInput tells line and column of what is no YAML. Pure."""
    try:
        document = yaml.safe_load(source)
    except yaml.YAMLError as error:
        raise BadInput(f"$TIDEGATE_PARAMS.spec is no YAML: {error}") from None
    if not isinstance(document, dict):
        raise BadInput("$TIDEGATE_PARAMS.spec is no YAML object; want the SDK's own schema, such as `type: command`")
    return document


def overridden(document: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The document with every `a.b.c` set to its value; objects on the way are made. Pure."""
    copy: dict[str, Any] = json.loads(json.dumps(document, default=str)) if values else document
    for path, value in values.items():
        *way, last = path.split(".")
        place = copy
        for part in way:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise BadInput(f"$TIDEGATE_PARAMS.set has {path!r}, but {part!r} of the specification is no object")
        place[last] = value
    return copy
