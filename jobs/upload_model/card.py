"""The model card, read with mistrust: what it vouches for decides whether a pickle is loaded."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegate.step import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

METRICS = ("mae", "mse", "rmse", "r2")
"""What every card has to tell."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What train_model says of a model."""

    sha256: str
    features: tuple[str, ...]
    target: str
    metrics: Mapping[str, float]
    libraries: Mapping[str, str]
    body: Mapping[str, Any]
    """All of it, as it was read."""

    @classmethod
    def parse(cls, text: bytes, *, url: str) -> Card:
        """Take a card apart; BadInput says what it lacks."""
        try:
            body = json.loads(text)
            return cls(
                sha256=_digest(body["model"]["sha256"]),
                features=tuple(_text(name) for name in body["features"]),
                target=_text(body["target"]),
                metrics={name: _number(body["metrics"][name]) for name in METRICS},
                libraries={_text(name): _text(version) for name, version in body["libraries"].items()},
                body=body,
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            fault = f"{type(error).__name__}: {error}"
            raise BadInput(f"{url} is not a model card ({fault}); pass the card of train_model", url=url) from None

    def published(self, model_url: str, *, hour: datetime) -> bytes:
        """The card as it is published: with the place of the model and the hour, and nothing else that changes."""
        model = {**self.body["model"], "url": model_url}
        body = {**self.body, "model": model, "published": {"hour": hour.isoformat()}}
        return (json.dumps(body, indent=2, ensure_ascii=False) + "\n").encode()


def _digest(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError(f"model.sha256 is {value!r}, want 64 hexadecimal digits")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return float(value)
