"""A step's metric over its runs, as the numbers of an SVG drawing. Pure: rows in, coordinates out.

Time runs to the right; a lone value stands in the middle; a metric that never changes is a level line in the middle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tidegate.ledger.model import Row

WIDTH, HEIGHT, MARGIN = 640, 160, 12
"""Of a drawing, in its own units."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One run."""

    x: float
    y: float
    value: float
    at: datetime
    row: int


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One metric; points in the order of time."""

    name: str
    points: tuple[Point, ...]
    least: float
    most: float

    @property
    def line(self) -> str:
        """The `points` of an SVG polyline."""
        return " ".join(f"{point.x:g},{point.y:g}" for point in self.points)


def plots(rows: Sequence[Row]) -> tuple[Plot, ...]:
    """A plot for every metric that one of the rows has, by name."""
    return tuple(_plot(name, rows) for name in sorted({name for row in rows for name in row.metrics}))


def _plot(name: str, rows: Sequence[Row]) -> Plot:
    """Numbers that cannot be drawn are left out."""
    known = [
        (row.datetime_finished or row.datetime_started, float(row.metrics[name]), row.id)
        for row in rows
        if name in row.metrics
    ]
    found = sorted(one for one in known if math.isfinite(one[1]))
    times, values = [at.timestamp() for at, _, _ in found], [value for _, value, _ in found]
    points = tuple(
        Point(
            x=_place(at.timestamp(), times, WIDTH),
            y=HEIGHT - _place(value, values, HEIGHT),
            value=value,
            at=at,
            row=row,
        )
        for at, value, row in found
    )
    return Plot(name=name, points=points, least=min(values, default=0.0), most=max(values, default=0.0))


def _place(value: float, among: Sequence[float], length: int) -> float:
    """Where `value` lies between the least and the most of them, within the margins.

    Divided before it is subtracted: the distance between two floats may be no float.
    """
    scale = max(map(abs, among)) or 1.0
    low, high = min(among) / scale, max(among) / scale
    share = 0.5 if low == high else (value / scale - low) / (high - low)
    return round(MARGIN + share * (length - 2 * MARGIN), 2)
