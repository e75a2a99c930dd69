"""`latest.json` among many writers: it moves on, never back, and never for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from jobs.upload_model import latest
from jobs.upload_model.latest import point_to
from tests.jobs.models import NOON, loaded, upload
from tidegate.step import (
    BadInput,
    Changed,
    Exists,
    Output,
    TryAgain,
    publish,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.conftest import Place


def test_a_pointer_that_others_keep_changing_is_try_again(
    file_place: Place, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    output = Output(name="x", url="s3://x/y", size=1, sha256="0" * 64, etag="e")
    calls = []

    def lose(*_: object, **conditions: object) -> Output:
        calls.append(conditions)
        raise Exists("there") if conditions["create_once"] else Changed("gone")

    monkeypatch.setattr(latest, "publish", lose)
    with pytest.raises(TryAgain, match="was changed by others 8 times in a row"):
        point_to(file_place.store, file_place.root / "latest.json", hour=NOON, model=output, card=output)
    assert len(calls) == 8


def test_a_pointer_another_writer_moves_meanwhile_is_looked_at_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = place.root / "latest.json"
    output = Output(name="x", url="s3://x/y", size=1, sha256="0" * 64, etag="e")
    later, real = NOON + timedelta(hours=3), publish

    def beaten(*arguments: Any, **conditions: Any) -> Output:
        monkeypatch.setattr(latest, "publish", real)
        point_to(place.store, url, hour=later, model=output, card=output)
        return real(*arguments, **conditions)

    monkeypatch.setattr(latest, "publish", beaten)
    assert not point_to(place.store, url, hour=NOON, model=output, card=output)
    assert loaded(place, "latest.json")["hour"] == later.isoformat()


@pytest.mark.usefixtures("unscored")
@pytest.mark.parametrize("body", [b"", b"[]", b'{"hour": "soon"}', b'{"hour": "2026-01-31T12:00:00"}'])
def test_a_pointer_that_is_none_is_named(file_place: Place, trained: Path, body: bytes) -> None:
    file_place.store.put(file_place.root / "latest.json", body)
    with pytest.raises(BadInput, match=r"latest\.json .*; move it away"):
        upload(trained, file_place)
