"""Says how far scores are from what was measured: the mean absolute error."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path


def main() -> None:
    """Read scores, write a report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    options = parser.parse_args()
    with (options.scores / "scores.csv").open() as file:
        errors = [abs(float(row["score"]) - float(row["y"])) for row in csv.DictReader(file)]
    options.report.mkdir(parents=True, exist_ok=True)
    (options.report / "report.json").write_text(json.dumps({"mae": sum(errors) / len(errors), "rows": len(errors)}))


if __name__ == "__main__":
    main()
