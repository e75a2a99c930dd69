"""Trained models for the tests of upload_model, and what they look at."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from jobs import upload_model
from tests.jobs.steps import environment
from tidegate.step import (
    Input,
    Prefix,
    Result,
    Stores,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.conftest import Place

NOON = datetime(2026, 1, 31, 12, 34, 56, tzinfo=UTC)
HOUR = "2026/01/31/12"


def settings(trained: Path, output: Prefix, *, seed: int = 0, when: datetime = NOON) -> upload_model.Settings:
    root = Prefix((trained / str(seed)).as_uri())
    return upload_model.Settings(
        model=Input(root / "model.pkl"),
        card=Input(root / "model_card.json"),
        holdout=Input(root / "holdout.csv"),
        logical_date=when,
        output=output,
    )


def upload(trained: Path, place: Place, *, seed: int = 0, when: datetime = NOON) -> Result:
    return upload_model.run(settings(trained, place.root, seed=seed, when=when), Stores())


def names(place: Place) -> list[str]:
    return [stat.url.removeprefix(place.root + "/") for stat in place.store.list(place.root)]


def loaded(place: Place, name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(place.store.get(place.root / name))
    return value


def digest(trained: Path, seed: int) -> str:
    return sha256((trained / str(seed) / "model.pkl").read_bytes()).hexdigest()


def run_environment(folder: Path, trained: Path, **more: str) -> dict[str, str]:
    root = Prefix((trained / "0").as_uri())
    wanted = {"model": "model.pkl", "card": "model_card.json", "holdout": "holdout.csv"}
    return environment(folder, inputs={name: root / file for name, file in wanted.items()}, **more)  # type: ignore[arg-type]
