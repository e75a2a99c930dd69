"""Split, scale, fit, score. Pure: a table in, a trained model out, the same one for the same seed.

Metrics are those of scikit-learn: mean absolute error, mean squared error, its root, and the coefficient of
determination, on the rows held out.
"""

from __future__ import annotations

import csv
import io
import math
import pickle
import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import sklearn
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from tidegate.step import BadInput

if TYPE_CHECKING:
    from jobs.train_model.table import Table

PICKLE = 5
"""Fixed, so that the bytes do not depend on the Python that writes them."""

LARGEST = 1e30
"""No number of a table may be further from zero."""

Numbers = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A fitted pipeline and what it does on the holdout."""

    pipeline: Pipeline
    holdout: Numbers
    actual: Numbers
    predicted: Numbers

    @property
    def metrics(self) -> dict[str, float]:
        """mae, mse, rmse and r2 on the holdout."""
        mse = float(mean_squared_error(self.actual, self.predicted))
        return {
            "mae": float(mean_absolute_error(self.actual, self.predicted)),
            "mse": mse,
            "rmse": math.sqrt(mse),
            "r2": float(r2_score(self.actual, self.predicted)),
        }

    @property
    def importances(self) -> Numbers:
        """The forest's weight of each feature; they sum to one."""
        weights: Numbers = self.pipeline["forest"].feature_importances_
        return weights

    @property
    def holdout_rows(self) -> int:
        """Rows that were held out."""
        return len(self.actual)

    @property
    def libraries(self) -> dict[str, str]:
        """What must be the same where the model is loaded."""
        return {
            "python": platform.python_version(),
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
            "scipy": version("scipy"),
        }

    def dump(self, file: BinaryIO) -> None:
        """Write the pickle."""
        pickle.dump(self.pipeline, file, protocol=PICKLE)

    def holdout_csv(self, table: Table) -> bytes:
        """The rows held out, the target last; every number reads back as the same number."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*table.features, table.target])
        for features, target in zip(self.holdout.tolist(), self.actual.tolist(), strict=True):
            writer.writerow([*features, target])
        return text.getvalue().encode()


def train(table: Table, *, n_estimators: int, test_size: float, random_state: int) -> Trained:
    """Fit on one part of the rows, predict the other; BadInput when a number is too large to scale."""
    grid = np.frombuffer(table.values, dtype=np.float64).reshape(table.rows, len(table.features) + 1)
    _refuse_too_large(table, grid)
    seen, held = train_test_split(grid, test_size=test_size, random_state=random_state)
    forest = RandomForestRegressor(n_estimators=n_estimators, random_state=random_state, n_jobs=-1)
    pipeline = Pipeline([("scale", StandardScaler()), ("forest", forest)])
    pipeline.fit(seen[:, :-1], seen[:, -1])
    forest.n_jobs = 1  # threads add up the trees in any order, and so change the last digits
    return Trained(
        pipeline=pipeline, holdout=held[:, :-1], actual=held[:, -1], predicted=pipeline.predict(held[:, :-1])
    )


def _refuse_too_large(table: Table, grid: Numbers) -> None:
    """Scaling squares the numbers, and the forest holds them in four bytes."""
    reach = np.maximum(grid.max(axis=0), -grid.min(axis=0))
    if reach.max() > LARGEST:
        name = [*table.features, table.target][int(reach.argmax())]
        raise BadInput(f"{table.url}: column {name!r} has a number beyond {LARGEST:g}; scale it down", url=table.url)
