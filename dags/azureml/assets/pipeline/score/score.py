"""Says what a line gives for the points in a folder of CSV files."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path


def main() -> None:
    """Read both, write x, y and the line's y."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--test-data", type=Path, required=True)
    parser.add_argument("--scores", type=Path, required=True)
    options = parser.parse_args()
    line = json.loads((options.model / "line.json").read_text())
    rows = [row for path in sorted(options.test_data.glob("*.csv")) for row in csv.DictReader(path.open())]
    options.scores.mkdir(parents=True, exist_ok=True)
    with (options.scores / "scores.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x", "y", "score"])
        writer.writerows([row["x"], row["y"], line["slope"] * float(row["x"]) + line["intercept"]] for row in rows)


if __name__ == "__main__":
    main()
