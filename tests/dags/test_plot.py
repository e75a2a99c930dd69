"""A metric's drawing: every finite number within the frame, whatever the numbers are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tidegate.page.plot import HEIGHT, MARGIN, WIDTH, plots

START = datetime(2026, 1, 1, tzinfo=UTC)


def rows(*values: dict[str, float]) -> Any:
    return [
        SimpleNamespace(id=i, metrics=v, datetime_started=START, datetime_finished=START + timedelta(hours=i))
        for i, v in enumerate(values)
    ]


@pytest.mark.parametrize(
    "values",
    [
        [1.0],
        [1.0, 1.0],
        [0.0, 0.0],
        [1.0, 2.0, -3.0],
        [1e308, -1e308],
        [5e-324, 0.0],
        [float("nan"), 1.0],
        [1e18, 1e18 + 256],
    ],
    ids=str,
)
def test_points_stay_within_the_frame(values: list[float]) -> None:
    (plot,) = plots(rows(*({"m": value} for value in values)))
    for point in plot.points:
        assert MARGIN <= point.x <= WIDTH - MARGIN
        assert MARGIN <= point.y <= HEIGHT - MARGIN
    assert len(plot.points) == len([value for value in values if value == value])  # noqa: PLR0124 - nan is not itself


def test_larger_is_higher_and_later_is_further_right() -> None:
    (plot,) = plots(list(reversed(rows({"m": 1.0}, {"m": 3.0}, {"m": 2.0}))))
    assert [point.row for point in plot.points] == [0, 1, 2]
    assert plot.points[1].y < plot.points[2].y < plot.points[0].y
    assert (plot.least, plot.most) == (1.0, 3.0)


def test_a_metric_that_only_some_runs_have_is_drawn_from_those() -> None:
    first, second = plots(rows({"a": 1.0}, {"a": 2.0, "b": 5.0}))
    assert (first.name, len(first.points), second.name, len(second.points)) == ("a", 2, "b", 1)
    assert plots([]) == ()
