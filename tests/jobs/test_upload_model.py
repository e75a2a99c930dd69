"""upload_model: checked, put, loaded back and scored, announced by one card, pointed to by the newest."""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from jobs import train_model, upload_model
from jobs.upload_model import latest, scoring
from jobs.upload_model.card import Card
from jobs.upload_model.latest import point_to
from tests.jobs.servers import ROOT
from tests.jobs.steps import environment, files, run_step
from tidegate.sample import petrol_csv
from tidegate.step import (
    BadInput,
    Changed,
    Data,
    Exists,
    Input,
    Output,
    Prefix,
    Result,
    Stat,
    StepError,
    Stores,
    TryAgain,
    publish,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.jobs.conftest import Place

NOON = datetime(2026, 1, 31, 12, 34, 56, tzinfo=UTC)
HOUR = "2026/01/31/12"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, `0` and `1`, on disk."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "data.csv").write_bytes(petrol_csv(60))
    for seed in (0, 1):
        settings = train_model.Settings(
            data=Input((folder / "data.csv").as_uri()),
            n_estimators=5,
            random_state=seed,
            output=Prefix((folder / str(seed)).as_uri()),
        )
        train_model.run(settings, Stores())
    return folder


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
    assert [output.name for output in result.outputs] == ["model", "card", "latest"]
    for output in result.outputs:
        stat = place.store.stat(output.url)
        assert (output.size, output.etag) == (stat.size, stat.etag)
        assert output.sha256 == sha256(place.store.get(output.url)).hexdigest()


def test_the_same_model_in_the_same_hour_changes_nothing(place: Place, trained: Path) -> None:
    first = upload(trained, place)
    again = upload(trained, place, when=NOON + timedelta(minutes=20))
    assert again == first


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


def test_latest_never_goes_back(place: Place, trained: Path) -> None:
    upload(trained, place, seed=1, when=NOON + timedelta(hours=1))
    late = upload(trained, place, seed=0)
    assert loaded(place, "latest.json")["hour"] == "2026-01-31T13:00:00+00:00"
    assert "a later hour stays latest" in late.summary
    assert late.outputs[2].sha256 == sha256(place.store.get(place.root / "latest.json")).hexdigest()
    assert loaded(place, f"{HOUR}/model_card.json")["model"]["sha256"] == digest(trained, 0)
    upload(trained, place, seed=0, when=NOON + timedelta(hours=2))
    assert loaded(place, "latest.json")["hour"] == "2026-01-31T14:00:00+00:00"


@pytest.mark.parametrize(
    ("date", "folder"),
    [
        ("2026-01-31T23:30:00-02:00", "2026/02/01/01"),
        ("2026-03-05T07:08:09.123456+00:00", "2026/03/05/07"),
        ("2026-12-31T23:59:59Z", "2026/12/31/23"),
    ],
)
def test_the_hour_is_utc_and_zero_padded(tmp_path: Path, trained: Path, date: str, folder: str) -> None:
    done = run_step("upload_model", run_environment(tmp_path, trained, logical_date=date))
    assert done.code == 0, done.error
    assert files(tmp_path / "out")[1] == f"{folder}/model_card.json"


def run_environment(folder: Path, trained: Path, **more: str) -> dict[str, str]:
    root = Prefix((trained / "0").as_uri())
    wanted = {"model": "model.pkl", "card": "model_card.json", "holdout": "holdout.csv"}
    return environment(folder, inputs={name: root / file for name, file in wanted.items()}, **more)  # type: ignore[arg-type]


def test_no_logical_date_is_named(tmp_path: Path, trained: Path) -> None:
    done = run_step("upload_model", run_environment(tmp_path, trained, logical_date=""))
    assert done.code == 2
    assert done.last_line.startswith("upload_model: $TIDEGATE_RUN.logical_date is not set; want a date in ISO 8601")
    assert files(tmp_path) == []


def refused(place: Place, chosen: upload_model.Settings, match: str) -> None:
    with pytest.raises(BadInput, match=match):
        upload_model.run(chosen, Stores())
    assert names(place) == []


def test_a_pickle_that_is_not_the_cards_is_refused(file_place: Place, trained: Path) -> None:
    mixed = settings(trained, file_place.root, seed=0)
    other = settings(trained, file_place.root, seed=1)
    chosen = upload_model.Settings(**{**vars(mixed), "card": other.card})
    refused(file_place, chosen, f"has sha256 {digest(trained, 0)}, the card says {digest(trained, 1)}")


def test_a_model_that_does_not_do_what_its_card_says_is_taken_away(file_place: Place, trained: Path) -> None:
    mixed = settings(trained, file_place.root, seed=0)
    other = settings(trained, file_place.root, seed=1)
    chosen = upload_model.Settings(**{**vars(mixed), "holdout": other.holdout})
    refused(file_place, chosen, "the published model has mae .*, its card says .*; pass the holdout of this very model")


def test_a_failing_rerun_leaves_what_was_published(file_place: Place, trained: Path) -> None:
    upload(trained, file_place)
    before = {name: file_place.store.stat(file_place.root / name) for name in names(file_place)}
    mixed = settings(trained, file_place.root, seed=0)
    chosen = upload_model.Settings(**{**vars(mixed), "holdout": settings(trained, file_place.root, seed=1).holdout})
    with pytest.raises(BadInput):
        upload_model.run(chosen, Stores())
    assert {name: file_place.store.stat(file_place.root / name) for name in names(file_place)} == before


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda card: card["model"].pop("sha256"), "is not a model card"),
        (lambda card: card["model"].update(sha256="abc"), "want 64 hexadecimal digits"),
        (lambda card: card["metrics"].pop("r2"), "is not a model card"),
        (lambda card: card["metrics"].update(r2="good"), "'good' is not a number"),
        (lambda card: card["libraries"].update({"scikit-learn": "0.1"}), "trained with scikit-learn 0.1, here is"),
        (lambda card: card.update(features="abc", target=1), "1 is not text"),
        (lambda card: card.update(features=["x"]), "the holdout has the columns"),
    ],
)
def test_a_card_that_vouches_for_nothing_is_refused(
    file_place: Place, trained: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], match: str
) -> None:
    card = json.loads((trained / "0" / "model_card.json").read_bytes())
    change(card)
    (tmp_path / "card.json").write_text(json.dumps(card))
    chosen = settings(trained, file_place.root)
    refused(file_place, upload_model.Settings(**{**vars(chosen), "card": (tmp_path / "card.json").as_uri()}), match)


class Environment:
    """A pickle whose loading writes its process's variables to standard error and fails."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("import os, sys; sys.exit('KNOWS ' + ' '.join(sorted(os.environ)))",)


def test_the_scoring_process_knows_no_variable_of_the_step(
    file_place: Place, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush-hush")
    body = pickle.dumps(Environment())
    card = json.loads((trained / "0" / "model_card.json").read_bytes())
    card["model"]["sha256"] = sha256(body).hexdigest()
    (tmp_path / "model.pkl").write_bytes(body)
    (tmp_path / "card.json").write_text(json.dumps(card))
    chosen = {**vars(settings(trained, file_place.root))}
    chosen |= {"model": (tmp_path / "model.pkl").as_uri(), "card": (tmp_path / "card.json").as_uri()}
    with pytest.raises(BadInput, match="the published model cannot be scored") as caught:
        upload_model.run(upload_model.Settings(**chosen), Stores())
    known = set(str(caught.value).partition("KNOWS ")[2].split())
    own = {name for name in known if name.startswith("KMP_")}  # the OpenMP of scikit-learn sets them
    assert known - own - {"LC_CTYPE"} == {"HOME", "LANG", "PATH", "TMPDIR"}
    assert names(file_place) == []


def test_this_process_closes_its_environment_to_others_of_its_user() -> None:
    """Root may read everything, so the flag that decides for all others is what is looked at."""
    program = "import ctypes; from jobs.upload_model import scoring; scoring._close_environment(); "
    program += "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) in (0, 1)
    assert done.stdout == "0\n"


def test_a_model_that_takes_too_long_is_stopped(file_place: Place, trained: Path, tmp_path: Path) -> None:
    class Sleeps:
        def __reduce__(self) -> tuple[Any, ...]:
            return eval, ("__import__('time').sleep(60)",)

    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Sleeps()))
    card = Card.parse((trained / "0" / "model_card.json").read_bytes(), url="card")
    with pytest.raises(StepError, match=r"took over 3 s; raise \$TIDEGATE_PARAMS\.score_seconds"):
        scoring.score(tmp_path / "model.pkl", (trained / "0" / "holdout.csv").read_bytes(), card=card, seconds=3)


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

    def beaten(*arguments: Any, **conditions: Any) -> Output:  # noqa: ANN401
        monkeypatch.setattr(latest, "publish", real)
        point_to(place.store, url, hour=later, model=output, card=output)
        return real(*arguments, **conditions)

    monkeypatch.setattr(latest, "publish", beaten)
    _, moved = point_to(place.store, url, hour=NOON, model=output, card=output)
    assert not moved
    assert loaded(place, "latest.json")["hour"] == later.isoformat()


@pytest.mark.parametrize("body", [b"", b"[]", b'{"hour": "soon"}', b'{"hour": "2026-01-31T12:00:00"}'])
def test_a_pointer_that_is_none_is_named(file_place: Place, trained: Path, body: bytes) -> None:
    file_place.store.put(file_place.root / "latest.json", body)
    with pytest.raises(BadInput, match=r"latest\.json .*; move it away"):
        upload(trained, file_place)


def test_credentials_are_nowhere_in_what_is_printed_or_published(
    remote_place: Place, trained: Path, tmp_path: Path
) -> None:
    server = dict(remote_place.server.environment)
    environ = run_environment(tmp_path, trained, output=remote_place.root) | server
    done = run_step("upload_model", environ)
    assert done.code == 0, done.error
    left = done.out + done.error + json.dumps(done.result)
    left += "".join(
        remote_place.store.get(stat.url).decode("latin-1") for stat in remote_place.store.list(remote_place.root)
    )
    for name in ("AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_KEY"):
        assert server.get(name, "nothing to find") not in left


def test_inputs_that_are_missing_are_all_named(tmp_path: Path) -> None:
    done = run_step("upload_model", environment(tmp_path))
    assert done.code == 2
    lines = done.error.splitlines()
    assert [line.split()[1] for line in lines] == [f"$TIDEGATE_INPUTS.{name}" for name in ("model", "card", "holdout")]
    assert os.listdir(tmp_path) == []  # noqa: PTH208
