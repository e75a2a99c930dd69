"""upload_model: checked, put, loaded back and scored, announced by one card, pointed to by the newest."""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from jobs import upload_model
from tests.jobs.models import HOUR, NOON, digest, loaded, names, run_environment, settings, upload
from tests.jobs.steps import files, fork_step, run_step
from tidegate.step import Data, Stat, Stores
from tidegate.step.settings import read

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.conftest import Place


@pytest.mark.usefixtures("forked_scoring")
def test_a_model_is_published_under_its_hour_in_every_store(place: Place, trained: Path) -> None:
    result = upload(trained, place)
    short = digest(trained, 0)[:12]
    assert names(place) == [f"{HOUR}/model-{short}.pkl", f"{HOUR}/model_card.json", "latest.json"]
    card = loaded(place, f"{HOUR}/model_card.json")
    assert card["model"]["url"] == place.root / f"{HOUR}/model-{short}.pkl"
    published = place.store.get(card["model"]["url"])
    assert card["model"]["sha256"] == sha256(published).hexdigest() == digest(trained, 0)
    assert card["published"] == {"hour": "2026-01-31T12:00:00+00:00"}
    assert card["metrics"] == dict(result.metrics)
    pointer = loaded(place, "latest.json")
    assert pointer == {
        "hour": "2026-01-31T12:00:00+00:00",
        "model": card["model"]["url"],
        "card": place.root / f"{HOUR}/model_card.json",
        "sha256": digest(trained, 0),
    }
    assert [output.name for output in result.outputs] == ["model", "card"]
    for output in result.outputs:
        stat = place.store.stat(output.url)
        assert (output.size, output.etag) == (stat.size, stat.etag)
        assert output.sha256 == sha256(place.store.get(output.url)).hexdigest()


@pytest.mark.usefixtures("unscored")
def test_the_same_model_in_the_same_hour_changes_nothing(place: Place, trained: Path) -> None:
    first = upload(trained, place)
    again = upload(trained, place, when=NOON + timedelta(minutes=20))
    assert again == first


@pytest.mark.usefixtures("unscored")
def test_another_model_in_the_same_hour_takes_its_place(place: Place, trained: Path) -> None:
    upload(trained, place, seed=0)
    upload(trained, place, seed=1)
    assert len(names(place)) == 4
    assert loaded(place, f"{HOUR}/model_card.json")["model"]["sha256"] == digest(trained, 1)
    assert loaded(place, "latest.json")["sha256"] == digest(trained, 1)


class Dies(Stores):
    """A store whose process ends at its n-th write, before or after the write is done."""

    def __init__(self, left: int, *, after: bool) -> None:
        self.left = left
        self.after = after

    def put(self, url: str, data: Data, *, create_once: bool = False, if_match: str = "") -> Stat:
        if self.left == 0 and not self.after:
            raise KeyboardInterrupt
        stat = super().put(url, data, create_once=create_once, if_match=if_match)
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return stat


@pytest.mark.usefixtures("unscored")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("write", [0, 1, 2], ids=["pickle", "card", "latest"])
def test_an_end_at_any_write_leaves_the_old_model_or_the_new(
    file_place: Place, trained: Path, write: int, after: bool
) -> None:
    upload(trained, file_place, seed=0)
    with pytest.raises(KeyboardInterrupt):
        upload_model.run(settings(trained, file_place.root, seed=1), Dies(write, after=after))
    for name in (f"{HOUR}/model_card.json", "latest.json"):
        named = loaded(file_place, name)
        url = named["model"]["url"] if "metrics" in named else named["model"]
        digest_named = named["model"]["sha256"] if "metrics" in named else named["sha256"]
        assert sha256(file_place.store.get(url)).hexdigest() == digest_named
    upload(trained, file_place, seed=1)
    assert loaded(file_place, "latest.json")["sha256"] == digest(trained, 1)


@pytest.mark.usefixtures("unscored")
def test_latest_never_goes_back(place: Place, trained: Path) -> None:
    upload(trained, place, seed=1, when=NOON + timedelta(hours=1))
    late = upload(trained, place, seed=0)
    assert loaded(place, "latest.json")["hour"] == "2026-01-31T13:00:00+00:00"
    assert "a later hour stays latest" in late.summary
    assert loaded(place, f"{HOUR}/model_card.json")["model"]["sha256"] == digest(trained, 0)
    upload(trained, place, seed=0, when=NOON + timedelta(hours=2))
    assert loaded(place, "latest.json")["hour"] == "2026-01-31T14:00:00+00:00"


@pytest.mark.usefixtures("unscored")
def test_what_it_hands_over_still_holds_when_a_later_hour_is_published(place: Place, trained: Path) -> None:
    """Else the ledger would run an earlier hour again, for no other reason than that time went on."""
    result = upload(trained, place)
    upload(trained, place, seed=1, when=NOON + timedelta(hours=1))
    assert [place.store.stat(output.url).etag for output in result.outputs] == [one.etag for one in result.outputs]


@pytest.mark.parametrize(
    ("date", "folder"),
    [
        ("2026-01-31T23:30:00-02:00", "2026/02/01/01"),
        ("2026-03-05T07:08:09.123456+00:00", "2026/03/05/07"),
        ("2026-12-31T23:59:59Z", "2026/12/31/23"),
    ],
)
@pytest.mark.usefixtures("unscored")
def test_the_hour_is_utc_and_zero_padded(tmp_path: Path, trained: Path, date: str, folder: str) -> None:
    told = run_environment(tmp_path, trained, logical_date=date)
    upload_model.run(read(upload_model.Settings, told), Stores())
    assert files(tmp_path / "out")[1] == f"{folder}/model_card.json"


def test_credentials_are_nowhere_in_what_is_printed_or_published(
    remote_place: Place, trained: Path, tmp_path: Path
) -> None:
    server = dict(remote_place.server.environment)
    environ = run_environment(tmp_path, trained, output=remote_place.root) | server
    process = run_step if "AWS_REGION" in server else fork_step
    done = process("upload_model", environ)
    assert done.code == 0, done.error
    left = done.out + done.error + json.dumps(done.result)
    left += "".join(
        remote_place.store.get(stat.url).decode("latin-1") for stat in remote_place.store.list(remote_place.root)
    )
    for name in ("AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_KEY"):
        assert server.get(name, "nothing to find") not in left
