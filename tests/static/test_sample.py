"""The sample data are the same everywhere, and of the shape of the table they stand in for."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

from tidegate.sample import HEADER, petrol_csv

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ["Petrol_tax", "Average_income", "Paved_Highways", "Population_Driver_licence(%)", "Petrol_Consumption"]
DIGEST = "a168597733368832d3d20ee0c338dca7ab75f0ad1f6d6166bd4b9bcf0d5eda56"


def rows(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode())))


def test_the_chart_puts_the_same_bytes() -> None:
    assert (ROOT / "helm/tidegate/files/petrol_sample.csv").read_bytes() == petrol_csv()


def test_the_default_sample_never_changes() -> None:
    assert hashlib.sha256(petrol_csv()).hexdigest() == DIGEST


def test_columns_are_those_of_the_tutorial() -> None:
    assert HEADER.split(",") == COLUMNS
    assert rows(petrol_csv())[0] == COLUMNS


def test_every_cell_is_a_number_and_rows_are_as_many_as_asked() -> None:
    found = rows(petrol_csv(rows=17, seed=3))[1:]
    assert len(found) == 17
    assert all(float(cell) >= 0 for row in found for cell in row)


def test_another_seed_gives_other_rows() -> None:
    assert petrol_csv(seed=1) != petrol_csv(seed=2)


def test_consumption_can_be_learnt_from_the_other_columns() -> None:
    found = [[float(cell) for cell in row] for row in rows(petrol_csv())[1:]]
    licence, consumption = [row[3] for row in found], [row[4] for row in found]
    assert correlation(licence, consumption) > 0.5
    assert correlation([row[0] for row in found], consumption) < -0.2


def correlation(left: list[float], right: list[float]) -> float:
    mean_left, mean_right = sum(left) / len(left), sum(right) / len(right)
    both = sum((a - mean_left) * (b - mean_right) for a, b in zip(left, right, strict=True))
    spread = sum((a - mean_left) ** 2 for a in left) * sum((b - mean_right) ** 2 for b in right)
    return float(both / spread**0.5)
