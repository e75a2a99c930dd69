"""Cuts a folder of text files into lines of a table, and copies the files for those who take them one by one."""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path


def main() -> None:
    """Read, copy, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--files", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True)
    options = parser.parse_args()
    for folder in (options.files, options.table):
        folder.mkdir(parents=True, exist_ok=True)
    with (options.table / "lines.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "line"])
        for path in sorted(options.texts.glob("*.txt")):
            shutil.copy(path, options.files)
            writer.writerows((path.name, line) for line in path.read_text().splitlines())
    (options.table / "MLTable").write_text("paths:\n  - file: ./lines.csv\ntransformations:\n  - read_delimited\n")


if __name__ == "__main__":
    main()
