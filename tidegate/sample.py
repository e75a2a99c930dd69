"""A made-up table of petrol consumption, for a first run where nobody has brought data.

Writes: nothing; gives bytes. Again: the same rows and seed give the same bytes, on every machine and Python version.

The columns are those of the 48 American states table that the well-known random forest tutorial uses; the numbers are
not: each row is drawn, and the consumption follows a line fitted to that table (least squares, rounded) plus noise of
about the same size as the table's own. `helm/tidegate/files/petrol_sample.csv` is this with the defaults.
"""

from __future__ import annotations

import random

HEADER = "Petrol_tax,Average_income,Paved_Highways,Population_Driver_licence(%),Petrol_Consumption"
"""US cents a gallon, US dollars a head, miles, share of people with a licence, and millions of gallons."""

NOISE = 60.0
"""Standard deviation of what the line does not explain, in millions of gallons."""


def petrol_csv(rows: int = 240, seed: int = 0) -> bytes:
    """A CSV in UTF-8 with a header and `rows` rows, each line ended by a line feed."""
    draw = random.Random(seed)  # noqa: S311 - data, not secrets
    lines = [HEADER, *(_row(draw) for _ in range(rows))]
    return ("\n".join(lines) + "\n").encode()


def _row(draw: random.Random) -> str:
    tax = 5.0 + 0.5 * int(_between(draw, 0, 11))
    income = int(_between(draw, 3000, 5400))
    highways = int(_between(draw, 400, 18000))
    licence = round(_between(draw, 0.45, 0.73), 3)
    mean = 377.0 - 34.8 * tax - 0.0666 * income - 0.0024 * highways + 1336.0 * licence
    consumption = max(0, round(mean + NOISE * _normal(draw)))
    return f"{tax:.2f},{income},{highways},{licence:.4f},{consumption}"


def _between(draw: random.Random, low: float, high: float) -> float:
    return low + (high - low) * draw.random()


def _normal(draw: random.Random) -> float:
    """Nearly normal with variance 1: twelve uniforms. Only `random()` is promised to stay the same between versions."""
    return sum(draw.random() for _ in range(12)) - 6.0
