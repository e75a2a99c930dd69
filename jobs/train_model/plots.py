"""Two pictures of a model, as PNG bytes; the same model gives the same bytes.

Drawn without a display and without matplotlib's global state.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.train_model.forest import Trained

MOST_DOTS = 5000
"""More would hide each other; the rows held out come in random order, so the first ones are a sample."""

MOST_BARS = 40


def predicted_vs_actual(trained: Trained, target: str) -> bytes:
    """A dot for each row held out; on the diagonal the prediction is right."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot()
    actual, predicted = trained.actual[:MOST_DOTS], trained.predicted[:MOST_DOTS]
    ends = [min(actual.min(), predicted.min()), max(actual.max(), predicted.max())]
    axes.plot(ends, ends, color="0.6", linewidth=1)
    axes.scatter(actual, predicted, s=14)
    axes.set_xlabel(_plain(f"{target}, actual"))
    axes.set_ylabel(_plain(f"{target}, predicted"))
    axes.set_title(f"r2 = {trained.metrics['r2']:.3f} on {trained.holdout_rows} rows held out")
    return _png(figure)


def importances(trained: Trained, features: Sequence[str]) -> bytes:
    """A bar for each feature, the weightiest on top."""
    ranked = sorted(zip(trained.importances.tolist(), features, strict=True), reverse=True)[:MOST_BARS]
    figure = Figure(figsize=(7, 1.5 + 0.3 * len(ranked)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh([_plain(name) for _, name in ranked], [weight for weight, _ in ranked])
    axes.invert_yaxis()
    axes.set_xlabel("importance")
    return _png(figure)


def _plain(text: str) -> str:
    """Text that matplotlib does not take for a formula."""
    return text.replace("$", r"\$")


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name in a script the font lacks
        figure.savefig(file, format="png", dpi=100, metadata={"Software": None})
    return file.getvalue()
