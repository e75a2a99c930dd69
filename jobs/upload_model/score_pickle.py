"""Run by itself, as `python -I score_pickle.py PICKLE COLUMNS < holdout.csv`: prints the metrics as JSON.

COLUMNS is a JSON list of the names wanted in the header, the target last. Knows nothing of Tidegate.
"""

from __future__ import annotations

import csv
import io
import json
import math
import pickle
import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score


def main(path: str, columns: str) -> None:
    """Load, predict, compare."""
    rows = csv.reader(io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", newline=""))
    header = next(rows, [])
    if header != json.loads(columns):
        sys.exit(f"the holdout has the columns {header}; want {columns}")
    grid = np.array([[float(cell) for cell in row] for row in rows], dtype=np.float64)
    model = pickle.loads(Path(path).read_bytes())  # noqa: S301 (its sha256 was compared with the card's)
    predicted = model.predict(grid[:, :-1])
    mse = float(mean_squared_error(grid[:, -1], predicted))
    metrics = {
        "mae": float(mean_absolute_error(grid[:, -1], predicted)),
        "mse": mse,
        "rmse": math.sqrt(mse),
        "r2": float(r2_score(grid[:, -1], predicted)),
    }
    sys.stdout.write(json.dumps(metrics))


if __name__ == "__main__":
    main(*sys.argv[1:])
