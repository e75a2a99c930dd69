"""What can be wrong with a file of weather. Pure: bytes in, words out.

The fields are those of https://openweathermap.org/current; those that only some weathers have
are not asked for.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NUMBER = (int, float)
SCHEMA: dict[str, tuple[type, ...]] = {
    "id": (int,),
    "name": (str,),
    "dt": (int,),
    "coord.lat": NUMBER,
    "coord.lon": NUMBER,
    "main.temp": NUMBER,
    "main.pressure": NUMBER,
    "main.humidity": NUMBER,
    "weather": (list,),
}
"""Field of an entry -> what it must be."""


def of(body: bytes, *, wanted: Sequence[object], moment: datetime, most_minutes: float) -> list[str]:
    """Every fault of a file, a line each; none for a good one. `wanted` are the ids that it should hold."""
    try:
        document = json.loads(body)
    except ValueError as error:
        return [f"it is not JSON: {error}"]
    if not isinstance(document, dict) or not isinstance(document.get("list"), list) or set(document) != {"cnt", "list"}:
        return ['it is not {"cnt": ..., "list": [...]}']
    entries = document["list"]
    return [
        *_layout(body, document),
        *_counts(document["cnt"], entries, wanted),
        *(fault for entry in entries for fault in _schema(entry)),
        *(fault for entry in entries for fault in _freshness(entry, moment, most_minutes)),
    ]


def minutes_away(entry: dict[str, Any], moment: datetime) -> float:
    """Minutes between a report and `moment`, whichever comes first."""
    return abs((datetime.fromtimestamp(entry["dt"], UTC) - moment).total_seconds()) / 60


def _layout(body: bytes, document: object) -> Iterator[str]:
    if body != json.dumps(document, sort_keys=True, indent=4, separators=(",", ": ")).encode():
        yield "its bytes are laid out otherwise: want keys sorted, indent 4, `,` and `: ` between, nothing after"


def _counts(count: object, entries: Sequence[object], wanted: Sequence[object]) -> Iterator[str]:
    if count != len(entries):
        yield f"cnt is {count!r}, and there are {len(entries)} entries"
    if not entries:
        yield "there is no entry"
    ids = Counter(str(entry.get("id")) for entry in entries if isinstance(entry, dict))
    if twice := sorted(number for number, times in ids.items() if times > 1):
        yield f"these ids are there more than once: {', '.join(twice)}"
    if wanted and (missing := [str(number) for number in wanted if str(number) not in ids]):
        yield f"these ids are missing: {', '.join(missing)}"
    if wanted and (unknown := sorted(ids.keys() - set(map(str, wanted)))):
        yield f"these ids were not asked for: {', '.join(unknown)}"


def _schema(entry: object) -> Iterator[str]:
    if not isinstance(entry, dict):
        yield f"an entry is {entry!r}, no object"
        return
    for path, kinds in SCHEMA.items():
        value = _at(entry, path)
        if not isinstance(value, kinds) or isinstance(value, bool):
            kind = " or ".join(kind.__name__ for kind in kinds)
            yield f"{_name(entry)}: {path} is {value!r}, want {kind}"


def _freshness(entry: object, moment: datetime, most_minutes: float) -> Iterator[str]:
    if not isinstance(entry, dict) or not isinstance(entry.get("dt"), int):
        return
    away = minutes_away(entry, moment)
    if away > most_minutes:
        yield f"{_name(entry)}: reported {away:.0f} min away from {moment:%Y-%m-%d %H:%M} UTC, want {most_minutes:g}"


def _at(entry: dict[str, Any], path: str) -> Any:  # noqa: ANN401 (any JSON)
    value: Any = entry
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _name(entry: dict[str, Any]) -> str:
    return f"{entry.get('name')} ({entry.get('id')})"
