"""kill -9 between any two things that fetch_weather does: the whole file or none, and the next run is well."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests import forked
from tests.jobs.steps import environment, result_of
from tests.jobs.weather import FILE, MINUTE, Admin, WeatherApi, assert_whole, fetch, lake_admin
from tidegate.step import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.jobs.conftest import Place

POINTS = {
    "before the last city is answered": ("weather", 5),
    "after create": ("create", 0),
    "after append": ("append", 0),
    "after flush": ("flush", 0),
    "after rename": ("rename", 0),
}
"""A call that is carried out and whose answer the step is killed waiting for, and how many of them go well before."""


@contextmanager
def stuck(place: Place, api: WeatherApi, folder: Path, point: str) -> Iterator[forked.Program]:
    """The step as a process, at that point."""
    call, skip = POINTS[point]
    admin = api.admin if call == "weather" else lake_admin(place)
    lake_admin(place).forget()
    admin.tell(call, "slow", seconds=4, skip=skip)
    environ = environment(folder, output=place.root, logical_date=MINUTE.isoformat())
    environ |= {**place.server.environment, **api.environment}
    with forked.Program(["-m", "jobs", "fetch_weather"], env=environ) as step:
        try:
            _wait(admin, step)
            yield step
        finally:
            step.kill()
    assert result_of(environ) is None


def _wait(admin: Admin, step: forked.Program) -> None:
    try:
        admin.wait_held()
    except AssertionError:
        step.kill()
        pytest.fail(step.stdout.read().decode())


def seen(place: Place) -> bytes:
    """What is at the final path; empty for nothing, which is told from an empty file."""
    try:
        assert place.store.stat(place.root / FILE).size > 0, "an empty file is seen"
        return place.store.get(place.root / FILE)
    except NotFound:
        return b""


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_run_leaves_the_whole_file_or_none(
    abfss_place: Place, weather_api: WeatherApi, tmp_path: Path, point: str
) -> None:
    with stuck(abfss_place, weather_api, tmp_path, point) as step:
        step.send_signal(signal.SIGKILL)
        step.wait(10)
    found = seen(abfss_place)
    if point == "after rename":
        assert_whole(found)
    else:
        assert found == b""
    weather_api.admin.forget()
    fetch(abfss_place, weather_api)
    assert_whole(seen(abfss_place))
    assert not found or found == seen(abfss_place), "a file that is there stays"
    assert [stat.url for stat in abfss_place.store.list(abfss_place.root)] == [abfss_place.root / FILE]


@pytest.mark.parametrize("point", ["before the last city is answered", "after flush"])
def test_a_run_that_is_asked_to_stop_publishes_nothing(
    abfss_place: Place, weather_api: WeatherApi, tmp_path: Path, point: str
) -> None:
    with stuck(abfss_place, weather_api, tmp_path, point) as step:
        step.send_signal(signal.SIGTERM)
        assert step.wait(25) == 143
        assert b"stopped by SIGTERM" in step.stdout.read()
    assert os.listdir(tmp_path) == []  # noqa: PTH208
    assert seen(abfss_place) == b""
