"""Writes down what it was told: a component to see that options arrive."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def main() -> None:
    """Read the options, write them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--training-data", type=Path, required=True)
    parser.add_argument("--max-epochs", type=int, default=10)
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--schedule", default="time-based")
    parser.add_argument("--model", type=Path, required=True)
    options = parser.parse_args()
    options.model.mkdir(parents=True, exist_ok=True)
    told = {name: str(value) for name, value in vars(options).items()}
    (options.model / "told.json").write_text(json.dumps({**told, "files": len(list(options.training_data.iterdir()))}))


if __name__ == "__main__":
    main()
