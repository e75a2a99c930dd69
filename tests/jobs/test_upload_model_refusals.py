"""upload_model publishes nothing that does not hold what its card says, and loads nothing that knows a secret."""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import subprocess
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from jobs import upload_model
from jobs.upload_model import scoring
from jobs.upload_model.card import Card
from tests.jobs.models import digest, names, run_environment, settings, upload
from tests.jobs.servers import ROOT
from tests.jobs.steps import environment, files, fork_step
from tidegate.step import (
    BadInput,
    StepError,
    Stores,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.jobs.conftest import Place


def test_no_logical_date_is_named(tmp_path: Path, trained: Path) -> None:
    done = fork_step("upload_model", run_environment(tmp_path, trained, logical_date=""))
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


@pytest.mark.usefixtures("forked_scoring")
def test_a_model_that_does_not_do_what_its_card_says_is_taken_away(file_place: Place, trained: Path) -> None:
    mixed = settings(trained, file_place.root, seed=0)
    other = settings(trained, file_place.root, seed=1)
    chosen = upload_model.Settings(**{**vars(mixed), "holdout": other.holdout})
    refused(file_place, chosen, "the published model has mae .*, its card says .*; pass the holdout of this very model")


@pytest.mark.usefixtures("forked_scoring")
def test_a_failing_rerun_leaves_what_was_published(file_place: Place, trained: Path) -> None:
    upload(trained, file_place)
    before = {name: file_place.store.stat(file_place.root / name) for name in names(file_place)}
    mixed = settings(trained, file_place.root, seed=0)
    chosen = upload_model.Settings(**{**vars(mixed), "holdout": settings(trained, file_place.root, seed=1).holdout})
    with pytest.raises(BadInput):
        upload_model.run(chosen, Stores())
    assert {name: file_place.store.stat(file_place.root / name) for name in names(file_place)} == before


@pytest.mark.usefixtures("forked_scoring")
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


def test_inputs_that_are_missing_are_all_named(tmp_path: Path) -> None:
    done = fork_step("upload_model", environment(tmp_path))
    assert done.code == 2
    lines = done.error.splitlines()
    assert [line.split()[1] for line in lines] == [f"$TIDEGATE_INPUTS.{name}" for name in ("model", "card", "holdout")]
    assert os.listdir(tmp_path) == []  # noqa: PTH208
