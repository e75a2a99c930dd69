"""Fits y = a x + b to the points in a folder of CSV files, by least squares, and writes the line."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path


def main() -> None:
    """Read, fit, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--training-data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    options = parser.parse_args()
    rows = [row for path in sorted(options.training_data.glob("*.csv")) for row in csv.DictReader(path.open())]
    points = [(float(row["x"]), float(row["y"])) for row in rows]
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    options.model.mkdir(parents=True, exist_ok=True)
    line = {"slope": slope, "intercept": mean_y - slope * mean_x}
    (options.model / "line.json").write_text(json.dumps(line))


if __name__ == "__main__":
    main()
