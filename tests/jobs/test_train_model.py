"""train_model: the same bytes for the same data, any CSV of numbers, and a clear word for everything else."""

from __future__ import annotations

import json
import math
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from jobs.train_model import Settings, run
from tests import forked
from tests.jobs.servers import ROOT
from tests.jobs.steps import Ended, environment, files, fork_step, published, run_step
from tidegate.sample import petrol_csv
from tidegate.step import Input, Prefix, Stores, store_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.conftest import Place

SHARED = ROOT.parent / "shared" / "data" / "petrol_consumption.csv"
HEADER = "Petrol_tax,Average_income,Paved_Highways,Population_Driver_licence(%),Petrol_Consumption"
OUTPUTS = ["model", "card", "holdout", "predicted_vs_actual", "importances"]
FILES = ["holdout.csv", "importances.png", "model.pkl", "model_card.json", "predicted_vs_actual.png"]


def petrol() -> bytes:
    return SHARED.read_bytes() if SHARED.is_file() else petrol_csv(48)


@dataclass(frozen=True)
class Tutorial:
    """The tutorial's forest, and how its training ended."""

    folder: Path
    done: Ended

    @property
    def kept(self) -> dict[str, bytes]:
        """What it published."""
        return {name: (self.folder / "out" / name).read_bytes() for name in files(self.folder / "out")}

    @property
    def result(self) -> dict[str, Any]:
        assert (self.done.code, self.done.error) == (0, "")
        assert self.done.result is not None
        return self.done.result


def tutorials(folder: Path) -> dict[str, str]:
    """The variables of a training on what is in that folder."""
    url = (folder / "data.csv").as_uri()
    return environment(folder, params={"n_estimators": 200}, inputs={"data": url})


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Tutorial:
    """Trained once, for all who only look."""
    folder = tmp_path_factory.mktemp("tutorial")
    (folder / "data.csv").write_bytes(petrol())
    return Tutorial(folder, fork_step("train_model", tutorials(folder)))


def test_the_tutorials_forest_and_all_that_is_told_of_it(tutorial: Tutorial) -> None:
    data, url = petrol(), (tutorial.folder / "data.csv").as_uri()
    assert [output["name"] for output in tutorial.result["outputs"]] == OUTPUTS
    assert sorted(tutorial.kept) == FILES
    for output in tutorial.result["outputs"]:
        content = tutorial.kept[output["url"].rpartition("/")[2]]
        assert (output["size"], output["sha256"]) == (len(content), sha256(content).hexdigest())
        assert content.startswith(b"\x89PNG") == output["url"].endswith(".png")
    card = json.loads(tutorial.kept["model_card.json"])
    assert card["model"]["sha256"] == tutorial.result["outputs"][0]["sha256"]
    assert card["model"]["size"] == len(tutorial.kept["model.pkl"])
    assert card["metrics"] == tutorial.result["metrics"]
    assert card["data"]["rows"] == 48
    assert card["data"]["sha256"] == sha256(data).hexdigest()
    assert (card["data"]["url"], card["data"]["etag"]) == (url, store_for(url).stat(url).etag)
    assert card["features"] == HEADER.split(",")[:-1]
    assert card["target"] == "Petrol_Consumption"
    assert card["parameters"] == {"n_estimators": 200, "test_size": 0.2, "random_state": 0}
    assert set(card["libraries"]) == {"python", "scikit-learn", "numpy", "scipy"}


def test_metrics_are_those_scikit_learn_gives_for_the_tutorial(tutorial: Tutorial) -> None:
    """Written as the tutorial writes it, with none of our code."""
    import numpy as np  # noqa: PLC0415
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score  # noqa: PLC0415
    from sklearn.model_selection import train_test_split  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    table = np.genfromtxt(petrol().decode().splitlines(), delimiter=",", skip_header=1)
    seen, held, known, actual = train_test_split(table[:, :-1], table[:, -1], test_size=0.2, random_state=0)
    scaler = StandardScaler().fit(seen)
    forest = RandomForestRegressor(n_estimators=200, random_state=0).fit(scaler.transform(seen), known)
    predicted = forest.predict(scaler.transform(held))
    mse = mean_squared_error(actual, predicted)
    assert tutorial.result["metrics"] == pytest.approx(
        {
            "mae": mean_absolute_error(actual, predicted),
            "mse": mse,
            "rmse": math.sqrt(mse),
            "r2": r2_score(actual, predicted),
        }
    )


def test_the_same_data_makes_the_same_bytes(tutorial: Tutorial) -> None:
    """In a new interpreter, which shares nothing with the first, such as the seed of its hashes."""
    kept = tutorial.kept
    again = run_step("train_model", tutorials(tutorial.folder))
    assert tutorial.kept == kept
    assert again.result is not None
    assert again.result["metrics"] == tutorial.result["metrics"]


def test_another_seed_gives_another_forest(trained: Path) -> None:
    one, other = (json.loads((trained / seed / "model_card.json").read_bytes())["metrics"] for seed in "01")
    assert one.keys() == other.keys()
    assert one != other


def test_it_trains_from_and_to_every_store(remote_place: Place, tmp_path: Path) -> None:
    """From and to files is what all the others do."""
    place = remote_place
    place.store.put(place.root / "data/petrol.csv", petrol_csv(60))
    environ = environment(
        tmp_path,
        params={"n_estimators": 5},
        inputs={"data": place.root / "data/petrol.csv"},
        output=place.root / "runs/petrol",
    )
    done = fork_step("train_model", environ | dict(place.server.environment))
    assert done.code == 0, done.error
    assert [stat.url.rpartition("/")[2] for stat in place.store.list(place.root / "runs")] == FILES
    card = json.loads(place.store.get(place.root / "runs/petrol/model_card.json"))
    assert card["data"]["etag"] == place.store.stat(place.root / "data/petrol.csv").etag
    model = place.store.get(place.root / "runs/petrol/model.pkl")
    assert card["model"] | {"sha256": sha256(model).hexdigest(), "size": len(model)} == card["model"]


ROWS = "".join(f"{number},{number * 2}.5,{number * 3}\n" for number in range(12))


@pytest.mark.parametrize(
    ("data", "params", "features"),
    [
        (f"a,b,c\n{ROWS}", {"target": "c"}, ["a", "b"]),
        (f"a,b,c\n{ROWS}".replace("\n", "\r\n"), {"target": "c"}, ["a", "b"]),
        (f"\ufeffa,b,c\n{ROWS}", {"target": "a"}, ["b", "c"]),
        (f'\ufeff"a","b, the ""second""","c"\r\n{ROWS}', {"target": "c"}, ["a", 'b, the "second"']),
        (f"größe,人口,$x_1$\n{ROWS}", {"target": "人口"}, ["größe", "$x_1$"]),
        (f"e\u0301te\u0301,b, c \n{ROWS}", {"target": "\u00e9t\u00e9"}, ["b", "c"]),
        (f'"line\nbreak",b,c\n{ROWS}', {"target": "c"}, ["line\nbreak", "b"]),
        (f"a,b,c\n\n{ROWS}\n\n", {"target": "c"}, ["a", "b"]),
        (f"a,b,c\n{ROWS}".rstrip(), {"target": "c"}, ["a", "b"]),
        (f"a,b,c\n{ROWS}", {"target": "c", "features": ["b"]}, ["b"]),
        ("a,t,name\n" + "".join(f'"{n}", {n}e-1 ,x\n' for n in range(12)), {"target": "t", "features": ["a"]}, ["a"]),
    ],
    ids=["lf", "crlf", "bom", "quoted", "unicode", "composed", "newline", "blank", "no-end", "chosen", "unused-text"],
)
def test_headers_and_line_ends_of_all_kinds(
    tmp_path: Path, data: str, params: dict[str, object], features: list[str]
) -> None:
    (tmp_path / "data.csv").write_bytes(data.encode())
    url, output = Input((tmp_path / "data.csv").as_uri()), Prefix((tmp_path / "out").as_uri())
    run(Settings(data=url, output=output, n_estimators=5, **params), Stores())  # type: ignore[arg-type]
    card = json.loads((tmp_path / "out" / "model_card.json").read_bytes())
    assert (card["features"], card["target"], card["data"]["rows"]) == (features, params["target"], 12)


def test_sigterm_while_training_publishes_nothing(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(petrol_csv(2000))
    url = (tmp_path / "data.csv").as_uri()
    environ = environment(tmp_path, params={"n_estimators": 50_000}, inputs={"data": url})
    with forked.Program(["-m", "jobs", "train_model"], env=environ) as step:
        _wait_until_busy(step.pid, seconds=1)
        step.send_signal(signal.SIGTERM)
        start = time.monotonic()
        assert step.wait(40) == 143
        error = step.stdout.read().decode()
    assert time.monotonic() - start < 25
    assert error.splitlines()[-1] == "train_model: stopped by SIGTERM; nothing that was under way is published"
    assert published(tmp_path) == []


def _wait_until_busy(pid: int, *, seconds: float) -> None:
    """Until the process has used so much processor time: then it has read the table and trains."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            user = int(file.read().rpartition(")")[2].split()[11])
        if user / os.sysconf("SC_CLK_TCK") > seconds:
            return
        time.sleep(0.05)
    raise AssertionError("the step does nothing")


def test_the_pickle_is_a_pipeline_that_predicts_on_plain_numbers(tutorial: Tutorial) -> None:
    pipeline = pickle.loads(tutorial.kept["model.pkl"])  # noqa: S301
    assert [name for name, _ in pipeline.steps] == ["scale", "forest"]
    assert pipeline["forest"].n_jobs == 1  # threads would add up the trees in any order
    assert 100 < pipeline.predict([[9.0, 3571, 1976, 0.525]])[0] < 1200


def test_a_table_takes_eight_bytes_a_cell_and_no_file(tmp_path: Path) -> None:
    """A CSV of 30 MB in long digits is 8 MB of numbers: reading it must not cost the 30."""
    program = f"""
import resource
from jobs.train_model import Settings, run
from jobs.train_model.table import read_table
from tidegate.step import Input, store_for
url = Input({(tmp_path / "long.csv").as_uri()!r})
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
store = store_for(url)
read_table(store, Input(url + ".warm"), target="e")
before = peak()
table = read_table(store, url, target="e")
print(table.rows, peak() - before)
"""
    row = ",".join(["0.12345678901234567890123456789"] * 5) + "\n"
    (tmp_path / "long.csv").write_text("a,b,c,d,e\n" + row * 200_000)
    (tmp_path / "long.csv.warm").write_text("a,b,c,d,e\n" + row * 20)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    rows, grown = map(int, done.stdout.split())
    assert rows == 200_000
    assert grown < 20_000_000
    assert (tmp_path / "long.csv").stat().st_size > 30_000_000
