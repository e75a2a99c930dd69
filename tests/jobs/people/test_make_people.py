from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from jobs.make_people.step import Settings, run
from tidegate.step import BadSettings, Prefix
from tidegate.step.stores import Stores

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def make(folder: Path, when: datetime = NOON, **values: object) -> dict[str, list[dict[str, str]]]:
    run(Settings(output=Prefix(folder.as_uri()), logical_date=when, **values), Stores())
    return {name: pq.read_table(folder / f"{name}.parquet").to_pylist() for name in ("people", "truth")}


def test_the_same_hour_makes_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    late = NOON.replace(minute=59, second=59, microsecond=1).astimezone(timezone(timedelta(hours=5, minutes=45)))
    for name, when in (("a", NOON), ("b", late), ("c", NOON.replace(hour=13))):
        make(tmp_path / name, when, count=300)
    a, b, c = ((tmp_path / name / "people.parquet").read_bytes() for name in "abc")
    assert a == b != c


def test_duplicates_are_of_people_of_this_batch_or_the_one_before(tmp_path: Path) -> None:
    before = make(tmp_path / "a", NOON.replace(hour=11), count=400, duplicates=0.3)
    now = make(tmp_path / "b", count=400, duplicates=0.3)
    faultless = {each["record_id"] for made in (before, now) for each in made["truth"]
                 if each["person"] == each["record_id"]}  # fmt: skip
    copies = [each for each in now["truth"] if each["person"] != each["record_id"]]
    assert {each["person"] for each in copies} <= faultless
    assert any(each["person"].startswith("20260101T11") for each in copies)
    assert 80 <= len(copies) <= 160
    originals = {each["record_id"]: each for made in (before, now) for each in made["people"]}
    changed = [originals[each["record_id"]] != originals[each["person"]] | {"record_id": each["record_id"]}
               for each in copies]  # fmt: skip
    assert sum(changed) > 0.8 * len(copies)


def test_household_members_share_an_address_and_are_their_own_person(tmp_path: Path) -> None:
    made = make(tmp_path, count=300, duplicates=0, households=0.5)
    addresses = [each["address"] for each in made["people"]]
    assert len(set(addresses)) < 250
    assert all(each["person"] == each["record_id"] for each in made["truth"])


def test_another_locale(tmp_path: Path) -> None:
    assert len(make(tmp_path, count=10, locale="de_DE")["people"]) == 10


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as told:
        Settings(output=Prefix(tmp_path.as_uri()), logical_date=NOON, duplicates=0.7, households=0.7, locale="xx")
    assert len(told.value.faults) == 2
