"""The histogram of scores as a picture.

Reads: records by decision and bin of scores. Writes: PNG, one bar a bin, stacked by decision, logarithmic from 1 on.
Again: the same bytes.

Drawn with Pillow alone: importing matplotlib takes longer than to de-duplicate a batch.
"""

from __future__ import annotations

from io import BytesIO
from math import log10
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Mapping

    Bars = Mapping[str, list[int]]

COLOURS = {"new": "#4c78a8", "review": "#f2a541", "match": "#54a24b"}
_SIZE = (960, 540)
_LEFT, _TOP, _RIGHT, _BOTTOM = 80, 60, 930, 470
_INK, _GRID = "#333333", "#dddddd"


def draw(bars: Bars, *, title: str) -> bytes:
    """The picture; `bars` holds records by decision, each in as many bins over [0, 1]."""
    image = Image.new("RGB", _SIZE, "white")
    canvas = ImageDraw.Draw(image)
    totals = [sum(column) for column in zip(*bars.values(), strict=True)]
    scale = _Scale(max([10, *totals]))
    _axes(canvas, scale)
    for at in range(len(totals)):
        _bar(canvas, scale, [(name, counts[at]) for name, counts in bars.items()], at, len(totals))
    canvas.text((_LEFT, 14), title, _INK, _font(18))
    _legend(canvas, bars)
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


class _Scale:
    """Heights: 0 at the bottom, 1 a step above, then logarithmic."""

    def __init__(self, most: int) -> None:
        self.powers = range(len(str(most)) + 1)
        self._step = (_BOTTOM - _TOP) / (log10(10 ** self.powers[-1]) + 1)

    def y(self, count: int) -> float:
        """The pixel row of a count."""
        return _BOTTOM if count <= 0 else _BOTTOM - self._step * (1 + log10(count))


def _axes(canvas: ImageDraw.ImageDraw, scale: _Scale) -> None:
    for power in scale.powers:
        y = scale.y(10**power)
        canvas.line([(_LEFT, y), (_RIGHT, y)], _GRID)
        canvas.text((_LEFT - 8, y), f"{10**power:,}", _INK, _font(13), anchor="rm")
    for tenth in range(0, 11, 2):
        x = _LEFT + (_RIGHT - _LEFT) * tenth / 10
        canvas.text((x, _BOTTOM + 8), f"{tenth / 10:.1f}", _INK, _font(13), anchor="mt")
    canvas.line([(_LEFT, _BOTTOM), (_RIGHT, _BOTTOM)], _INK)
    middle = (_LEFT + _RIGHT) / 2
    canvas.text((middle, _BOTTOM + 32), "score of the best candidate (0: none)", _INK, _font(14), anchor="mt")
    canvas.text((_LEFT - 8, _TOP - 22), "records", _INK, _font(14), anchor="rm")


def _bar(canvas: ImageDraw.ImageDraw, scale: _Scale, parts: list[tuple[str, int]], at: int, bins: int) -> None:
    width = (_RIGHT - _LEFT) / bins
    below = 0
    for name, count in parts:
        if count:
            low, high = scale.y(below), scale.y(below + count)
            canvas.rectangle([_LEFT + at * width, high, _LEFT + (at + 1) * width - 2, low], COLOURS[name])
            below += count


def _legend(canvas: ImageDraw.ImageDraw, bars: Bars) -> None:
    for at, (name, counts) in enumerate(bars.items()):
        x = 420 + at * 170
        canvas.rectangle([x, 38, x + 14, 52], COLOURS[name])
        canvas.text((x + 22, 45), f"{name} ({sum(counts):,})", _INK, _font(14), anchor="lm")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
