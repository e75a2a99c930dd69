"""The order of things in `train_model`: read, split, fit, score, draw, publish.

scikit-learn, numpy and matplotlib are imported once the table is read: help and bad input need none of them.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from jobs.train_model.table import Table, read_table, refuse_too_few
from tidegate.step import Input, Output, Prefix, Result, Store, param, publish

if TYPE_CHECKING:
    from jobs.train_model.forest import Trained

TREES, SEEDS = 200, 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What train_model can be told."""

    data: Input
    """The CSV to learn from."""
    target: str = param("Petrol_Consumption", at_least=1)
    """The column to predict."""
    features: list[str] = param([])
    """The columns to predict from; all but the target where none is named."""
    n_estimators: int = param(TREES, at_least=1, at_most=100_000)
    """Trees in the forest."""
    test_size: float = param(0.2, above=0, below=1)
    """Share of the rows that is held out to score with."""
    random_state: int = param(0, at_least=0, at_most=SEEDS)
    """Seed of the split and of the forest."""
    output: Prefix
    """Where model, card, holdout and plots go."""


def run(settings: Settings, store: Store) -> Result:
    """Train and publish; nothing is written before all of it is known to be good."""
    table = read_table(store, settings.data, target=settings.target, features=settings.features)
    refuse_too_few(table, test_size=settings.test_size)
    from jobs.train_model.forest import train  # noqa: PLC0415
    from jobs.train_model.plots import importances, predicted_vs_actual  # noqa: PLC0415

    trained = train(
        table,
        n_estimators=settings.n_estimators,
        test_size=settings.test_size,
        random_state=settings.random_state,
    )
    plots = {
        "predicted_vs_actual": predicted_vs_actual(trained, table.target),
        "importances": importances(trained, table.features),
    }
    outputs = _publish(settings, store, table, trained, plots)
    score = f"mae {trained.metrics['mae']:.4g}, r2 {trained.metrics['r2']:.4g}"
    return Result(
        outputs=outputs,
        metrics=trained.metrics,
        summary=f"{settings.n_estimators} trees on {table.rows} rows: {score}",
    )


def _publish(
    settings: Settings, store: Store, table: Table, trained: Trained, plots: dict[str, bytes]
) -> tuple[Output, ...]:
    """The card goes last: it vouches for what it names."""
    with tempfile.TemporaryFile() as pickle:
        trained.dump(cast("BinaryIO", pickle))
        pickle.seek(0)
        model = publish(store, "model", settings.output / "model.pkl", cast("BinaryIO", pickle))
    holdout = publish(store, "holdout", settings.output / "holdout.csv", trained.holdout_csv(table))
    drawn = [publish(store, name, settings.output / f"{name}.png", png) for name, png in plots.items()]
    body = json.dumps(_card(settings, table, trained, model), indent=2, ensure_ascii=False) + "\n"
    card = publish(store, "card", settings.output / "model_card.json", body.encode())
    return (model, card, holdout, *drawn)


def _card(settings: Settings, table: Table, trained: Trained, model: Output) -> dict[str, object]:
    """What is to be known of the model; nothing in it changes when the step runs again."""
    return {
        "model": {"sha256": model.sha256, "size": model.size, "kind": "sklearn.pipeline.Pipeline", "format": "pickle"},
        "libraries": trained.libraries,
        "data": {"url": table.url, "etag": table.etag, "sha256": table.sha256, "rows": table.rows},
        "parameters": {
            "n_estimators": settings.n_estimators,
            "test_size": settings.test_size,
            "random_state": settings.random_state,
        },
        "features": list(table.features),
        "target": table.target,
        "holdout": {"rows": trained.holdout_rows},
        "metrics": trained.metrics,
    }
