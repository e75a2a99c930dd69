"""`latest.json`: the pointer to the newest model, which only ever moves on.

Reads and writes: that one object, by if-match; two writers cannot both win. Again: the same pointer stays as it is.
"""

from __future__ import annotations

import json
import random
import time
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from tidegate.step import BadInput, Changed, Exists, NotFound, Output, Stat, Store, TryAgain, publish

if TYPE_CHECKING:
    from tidegate.step import Prefix

TRIES = 8
"""How often another writer may come in between."""


class _Pointer(NamedTuple):
    stat: Stat
    body: bytes


def point_to(store: Store, url: Prefix, *, hour: datetime, model: Output, card: Output) -> bool:
    """Let `latest.json` name this model unless it names one of a later hour; tells whether it names this one.

    It is no output of the step: another run moves it, which says nothing against what this one has published.
    """
    names = {"hour": hour.isoformat(), "model": model.url, "card": card.url, "sha256": model.sha256}
    body = (json.dumps(names, indent=2, ensure_ascii=False) + "\n").encode()
    for attempt in range(TRIES):
        current = _current(store, url)
        if current and (current.body == body or _hour(current.body, url) > hour):
            return current.body == body
        try:
            etag = current.stat.etag if current else ""
            publish(store, "latest", url, body, create_once=not current, if_match=etag)
        except (Exists, Changed):
            time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 (spreads writers, guards nothing)
        else:
            return True
    raise TryAgain(f"{url} was changed by others {TRIES} times in a row", url=url)


def _current(store: Store, url: Prefix) -> _Pointer | None:
    try:
        with store.open(url) as body:
            return _Pointer(body.stat, body.read())
    except NotFound:
        return None


def _hour(body: bytes, url: Prefix) -> datetime:
    try:
        hour = datetime.fromisoformat(json.loads(body)["hour"])
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{url} is no pointer to a model ({error}); move it away", url=url) from None
    if hour.tzinfo is None:
        raise BadInput(f"{url} names an hour without offset; move it away", url=url)
    return hour
