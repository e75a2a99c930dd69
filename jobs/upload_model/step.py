"""The order of things in `upload_model`: check, put, load back and score, announce, point to it."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 (the settings are read by their types)
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.upload_model import scoring
from jobs.upload_model.card import Card
from jobs.upload_model.latest import point_to
from tidegate.step import (
    BadInput,
    Hashing,
    Input,
    NotFound,
    Output,
    Prefix,
    Result,
    Store,
    param,
    publish_changed,
    publish_once,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What upload_model can be told."""

    model: Input
    """The pickle that train_model wrote."""
    card: Input
    """Its card."""
    holdout: Input
    """The rows its metrics were measured on."""
    logical_date: datetime
    """The hour it is published under."""
    score_seconds: int = param(600, at_least=1)
    """How long loading and scoring may take."""
    output: Prefix
    """Where the models of this pipeline lie."""


def run(settings: Settings, store: Store) -> Result:
    """Publish; nothing is written before the pickle is known to be the card's."""
    hour = settings.logical_date.replace(minute=0, second=0, microsecond=0)
    folder = settings.output / f"{hour:%Y/%m/%d/%H}"
    card = Card.parse(store.get(settings.card), url=settings.card)
    scoring.refuse_other_versions(card)
    with _downloaded(store, settings.model, card) as pickle:
        model, new = _put_model(store, folder, card, pickle)
    _verify(settings, store, model, card, new=new)
    announced = publish_changed(store, "card", folder / "model_card.json", card.published(model.url, hour=hour))
    moved = point_to(store, settings.output / "latest.json", hour=hour, model=model, card=announced)
    pointer = "latest" if moved else "a later hour stays latest"
    return Result(
        outputs=(model, announced),
        metrics=card.metrics,
        summary=f"{model.url} with r2 {card.metrics['r2']:.4g}, {pointer}",
    )


@contextmanager
def _downloaded(store: Store, url: str, card: Card) -> Iterator[Path]:
    """The pickle in a file of its own, gone afterwards; BadInput unless it is the one the card names."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pkl"
        with store.open(url) as body, path.open("wb") as file:
            stream = Hashing(body)
            shutil.copyfileobj(stream, file, 1024 * 1024)
        if stream.sha256 != card.sha256:
            advice = "pass the card of this very model, or train again"
            raise BadInput(f"{url} has sha256 {stream.sha256}, the card says {card.sha256}; {advice}", url=url)
        yield path


def _put_model(store: Store, folder: Prefix, card: Card, pickle: Path) -> tuple[Output, bool]:
    """The pickle under a name made of its content, and whether it is new there."""
    url = folder / f"model-{card.sha256[:12]}.pkl"
    try:
        store.stat(url)
        new = False
    except NotFound:
        new = True
    with pickle.open("rb") as file:
        return publish_once(store, "model", url, file, digest=card.sha256), new


def _verify(settings: Settings, store: Store, model: Output, card: Card, *, new: bool) -> None:
    """Load what was published and score it; a model that fails is taken away again if it is new."""
    holdout = store.get(settings.holdout, at_most=scoring.LARGEST_HOLDOUT)
    try:
        with _downloaded(store, model.url, card) as pickle:
            metrics = scoring.score(pickle, holdout, card=card, seconds=settings.score_seconds)
        scoring.refuse_other_metrics(metrics, card, url=settings.holdout)
    except BadInput:
        if new:
            store.delete(model.url)
        raise
