"""The file: `{"cnt", "list"}`, as OpenWeatherMap's call for several cities gave it until 2025."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tidegate.step import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

NAME = "weather_data.json"


def path(moment: datetime) -> str:
    """Where the file of a minute lies below the output; `moment` is in UTC."""
    return f"{moment:%Y/%m/%d/%H/%M}/{NAME}"


def to_bytes(entries: Sequence[dict[str, Any]]) -> bytes:
    """The file's bytes: keys sorted, indent 4, `,` and `: ` between, ASCII, no newline at the end."""
    document = {"cnt": len(entries), "list": list(entries)}
    return json.dumps(document, sort_keys=True, indent=4, separators=(",", ": ")).encode()


def temperatures(body: bytes, *, unit: str, url: str) -> dict[str, float]:
    """City -> temperature, of a file; BadInput when it is none of ours."""
    try:
        entries = json.loads(body)["list"]
        named = [(entry["name"], entry["id"], float(entry["main"]["temp"])) for entry in entries]
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{url} is there and holds no weather ({error!r}); move it away", url=url) from None
    names = [name for name, _, _ in named]
    return {
        f"{name} [{unit}]" if names.count(name) == 1 else f"{name} {number} [{unit}]": temperature
        for name, number, temperature in named
    }
