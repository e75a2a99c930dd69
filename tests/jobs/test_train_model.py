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
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from jobs.train_model.table import read_table
from tests.jobs.servers import ROOT
from tests.jobs.steps import Ended, environment, files, run_step
from tidegate.sample import petrol_csv
from tidegate.step import BadInput, Input, store_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.conftest import Place

SHARED = ROOT.parent / "shared" / "data" / "petrol_consumption.csv"
HEADER = "Petrol_tax,Average_income,Paved_Highways,Population_Driver_licence(%),Petrol_Consumption"
OUTPUTS = ["model", "card", "holdout", "predicted_vs_actual", "importances"]
FILES = ["holdout.csv", "importances.png", "model.pkl", "model_card.json", "predicted_vs_actual.png"]


def train(folder: Path, data: bytes, **params: object) -> Ended:
    """Train on `data` in a process of its own; few trees unless told."""
    folder.mkdir(exist_ok=True)
    (folder / "data.csv").write_bytes(data)
    url = (folder / "data.csv").as_uri()
    return run_step("train_model", environment(folder, params={"n_estimators": 5, **params}, inputs={"data": url}))


def published(folder: Path) -> list[str]:
    return [name for name in files(folder) if name != "data.csv"]


def petrol() -> bytes:
    return SHARED.read_bytes() if SHARED.is_file() else petrol_csv(48)


def test_the_tutorials_forest_and_all_that_is_told_of_it(tmp_path: Path) -> None:
    data = petrol()
    done = train(tmp_path, data, n_estimators=200)
    assert (done.code, done.error) == (0, "")
    assert done.result is not None
    assert [output["name"] for output in done.result["outputs"]] == OUTPUTS
    assert files(tmp_path / "out") == FILES
    for output in done.result["outputs"]:
        content = (tmp_path / "out" / output["url"].rpartition("/")[2]).read_bytes()
        assert (output["size"], output["sha256"]) == (len(content), sha256(content).hexdigest())
        assert content.startswith(b"\x89PNG") == output["url"].endswith(".png")
    card = json.loads((tmp_path / "out" / "model_card.json").read_bytes())
    assert card["model"]["sha256"] == done.result["outputs"][0]["sha256"]
    assert card["metrics"] == done.result["metrics"]
    assert card["data"]["rows"] == 48
    assert card["data"]["sha256"] == sha256(data).hexdigest()
    assert card["data"]["url"] == (tmp_path / "data.csv").as_uri()
    assert card["features"] == HEADER.split(",")[:-1]
    assert card["target"] == "Petrol_Consumption"
    assert card["parameters"] == {"n_estimators": 200, "test_size": 0.2, "random_state": 0}
    assert set(card["libraries"]) == {"python", "scikit-learn", "numpy", "scipy"}


def test_metrics_are_those_scikit_learn_gives_for_the_tutorial(tmp_path: Path) -> None:
    """Written as the tutorial writes it, with none of our code."""
    import numpy as np  # noqa: PLC0415
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score  # noqa: PLC0415
    from sklearn.model_selection import train_test_split  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    data = petrol()
    done = train(tmp_path, data, n_estimators=200)
    table = np.genfromtxt(data.decode().splitlines(), delimiter=",", skip_header=1)
    seen, held, known, actual = train_test_split(table[:, :-1], table[:, -1], test_size=0.2, random_state=0)
    scaler = StandardScaler().fit(seen)
    forest = RandomForestRegressor(n_estimators=200, random_state=0).fit(scaler.transform(seen), known)
    predicted = forest.predict(scaler.transform(held))
    mse = mean_squared_error(actual, predicted)
    assert done.result is not None
    assert done.result["metrics"] == pytest.approx(
        {
            "mae": mean_absolute_error(actual, predicted),
            "mse": mse,
            "rmse": math.sqrt(mse),
            "r2": r2_score(actual, predicted),
        }
    )


def test_the_same_data_makes_the_same_bytes(tmp_path: Path) -> None:
    first = train(tmp_path, petrol(), n_estimators=50)
    kept = {name: (tmp_path / "out" / name).read_bytes() for name in FILES}
    second = train_again(tmp_path, n_estimators=50)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == kept
    assert first.result is not None
    assert second.result is not None
    assert first.result["metrics"] == second.result["metrics"]
    other = train_again(tmp_path, n_estimators=50, random_state=1)
    assert other.result is not None
    assert other.result["metrics"] != first.result["metrics"]


def train_again(folder: Path, **params: object) -> Ended:
    url = (folder / "data.csv").as_uri()
    return run_step("train_model", environment(folder, params=params, inputs={"data": url}))


def test_it_trains_from_and_to_every_store(place: Place, tmp_path: Path) -> None:
    place.store.put(place.root / "data/petrol.csv", petrol_csv(60))
    environ = environment(
        tmp_path,
        params={"n_estimators": 5},
        inputs={"data": place.root / "data/petrol.csv"},
        output=place.root / "runs/petrol",
    )
    done = run_step("train_model", environ | dict(place.server.environment))
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
    done = train(tmp_path, data.encode(), **params)
    assert (done.code, done.error) == (0, "")
    card = json.loads((tmp_path / "out" / "model_card.json").read_bytes())
    assert (card["features"], card["target"], card["data"]["rows"]) == (features, params["target"], 12)


SAMPLE = petrol_csv(20).decode()
LINES = SAMPLE.splitlines()


def changed(line: int, text: str) -> bytes:
    return "\n".join([*LINES[:line], text, *LINES[line + 1 :]]).encode()


BAD = {
    "empty file": (b"", {}, "is empty; want a CSV with a header"),
    "blank file": (b"\n\r\n", {}, "is empty; want a CSV with a header"),
    "header only": (LINES[0].encode(), {}, "has 0 row(s)"),
    "one row": ("\n".join(LINES[:2]).encode(), {}, "has 1 row(s)"),
    "three rows": ("\n".join(LINES[:4]).encode(), {}, "add rows or change test_size"),
    "target absent": (SAMPLE.encode(), {"target": "Petrol"}, "has no column 'Petrol'; set $TIDEGATE_PARAMS.target"),
    "missing column": (
        SAMPLE.encode(),
        {"features": ["Petrol_tax", "Weather"]},
        "lacks column 'Weather'; add it to the file or take it out of $TIDEGATE_PARAMS.features",
    ),
    "missing cell": (changed(7, "9.0,3571,1976,0.5"), {}, "line 8 lacks column 'Petrol_Consumption'"),
    "cell too many": (changed(7, "9.0,3571,1976,0.5,541,7"), {}, "line 8 has 6 cells, the header 5"),
    "not numeric": (changed(7, "9.0,n/a,1976,0.5,541"), {}, "line 8, column 'Average_income' is 'n/a'; want a number"),
    "empty cell": (changed(7, "9.0,,1976,0.5,541"), {}, "line 8, column 'Average_income' is ''; want a number"),
    "not finite": (changed(7, "9.0,inf,1976,0.5,541"), {}, "line 8, column 'Average_income' is 'inf'"),
    "nan": (changed(7, "9.0,1,1976,0.5,nan"), {}, "line 8, column 'Petrol_Consumption' is 'nan'"),
    "underscored": (changed(7, "9.0,1_000,1976,0.5,541"), {}, "line 8, column 'Average_income' is '1_000'"),
    "decimal comma": (changed(7, '9.0,"3571,5",1976,0.5,541'), {}, "line 8, column 'Average_income' is '3571,5'"),
    "too large": (changed(7, "9.0,1e300,1976,0.5,541"), {}, "column 'Average_income' has a number beyond 1e+30"),
    "target only": (b"Petrol_Consumption\n" + b"1\n" * 20, {}, "want one more to predict from"),
    "target as feature": (SAMPLE.encode(), {"features": ["Petrol_Consumption"]}, "holds the target"),
    "double name": (SAMPLE.replace("Average_income", "Petrol_tax").encode(), {}, "has Petrol_tax twice"),
    "no name": (SAMPLE.replace("Average_income", "").encode(), {}, "column 2 of the header has no name"),
    "semicolons": (SAMPLE.replace(",", ";").encode(), {}, "has no column 'Petrol_Consumption'"),
    "latin-1": (SAMPLE.replace("Petrol_tax", "Größe").encode("latin-1"), {}, "is not UTF-8"),
    "utf-16": (SAMPLE.encode("utf-16"), {}, "is not UTF-8"),
    "binary": (b"PK\x03\x04\x00\x00" * 20, {}, "data.csv"),
    "open quote": (changed(7, '9.0,"3571,1976,0.5,541'), {}, "is not a CSV: unexpected end of data"),
    "test_size 0": (SAMPLE.encode(), {"test_size": 0}, "$TIDEGATE_PARAMS.test_size is 0; want a number, above 0"),
    "test_size 1": (SAMPLE.encode(), {"test_size": 1}, "$TIDEGATE_PARAMS.test_size is 1; want a number, above 0"),
    "test_size nearly 1": (SAMPLE.encode(), {"test_size": 0.99}, "holds 20 of them out"),
    "n_estimators 0": (SAMPLE.encode(), {"n_estimators": 0}, "$TIDEGATE_PARAMS.n_estimators is 0; want a whole number"),
    "n_estimators 1.5": (SAMPLE.encode(), {"n_estimators": 1.5}, "n_estimators is 1.5; want a whole number"),
    "random_state -1": (SAMPLE.encode(), {"random_state": -1}, "random_state is -1; want a whole number, at least 0"),
    "no target": (SAMPLE.encode(), {"target": ""}, '$TIDEGATE_PARAMS.target is ""; want text'),
    "misspelt": (SAMPLE.encode(), {"n_estimator": 3}, "$TIDEGATE_PARAMS has 'n_estimator', want features"),
}


@pytest.mark.parametrize(("data", "params", "said"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named_and_publishes_nothing(
    tmp_path: Path, data: bytes, params: dict[str, object], said: str
) -> None:
    done = train(tmp_path, data, **params)
    assert done.code == 2, done.error
    assert said in done.last_line
    assert done.last_line.startswith("train_model: ")
    assert "Traceback" not in done.error
    assert published(tmp_path) == []
    if "$TIDEGATE_PARAMS" not in done.last_line.partition("; ")[0]:
        assert "$TIDEGATE_INPUTS.data" in done.last_line


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file:///nowhere/data.csv", "train_model: $TIDEGATE_INPUTS.data: file:///nowhere/data.csv does not exist"),
        ("file:///tmp", "is a folder"),
        (
            "https://example.org/data.csv",
            "$TIDEGATE_INPUTS.data: 'https://example.org/data.csv' is not a URL of a store",
        ),
        ("s3://", "names no bucket"),
        ("data.csv", "want s3://, abfss:// or file://"),
    ],
)
def test_an_unreadable_url_is_named(tmp_path: Path, url: str, said: str) -> None:
    done = run_step("train_model", environment(tmp_path, inputs={"data": url}))
    assert done.code == 2
    assert said in done.last_line
    assert files(tmp_path) == []


def test_a_missing_object_bucket_or_key_is_named(remote_place: Place, tmp_path: Path) -> None:
    server = dict(remote_place.server.environment)
    wrong = server | {"AWS_SECRET_ACCESS_KEY": "wrong-one", "AZURE_STORAGE_KEY": "d3Jvbmctb25l"}
    bucket = remote_place.server.root.replace("tidegate", "nobucket", 1)
    for url, keys, said in (
        (remote_place.root / "none.csv", server, "none.csv does not exist"),
        (f"{bucket}/data.csv", server, "'nobucket'"),
        (remote_place.root / "none.csv", wrong, "refused the credentials"),
    ):
        done = run_step("train_model", environment(tmp_path, inputs={"data": url}) | keys)
        assert done.code == 2, done.error
        assert done.last_line.startswith("train_model: $TIDEGATE_INPUTS.data: ")
        assert said in done.last_line
        assert not any(secret in done.out + done.error for secret in ("wrong-one", "d3Jvbmctb25l"))
        assert files(tmp_path) == []


def test_a_missing_output_bucket_is_named(remote_place: Place, tmp_path: Path) -> None:
    remote_place.store.put(remote_place.root / "data.csv", petrol_csv(20))
    bucket = remote_place.server.root.replace("tidegate", "nobucket", 1)
    environ = environment(
        tmp_path, params={"n_estimators": 2}, inputs={"data": remote_place.root / "data.csv"}, output=f"{bucket}/runs"
    )
    done = run_step("train_model", environ | dict(remote_place.server.environment))
    assert done.code == 2, done.error
    assert done.last_line.startswith("train_model: $TIDEGATE_OUTPUT: ")
    assert "create it or correct" in done.last_line
    assert files(tmp_path) == []


def test_sigterm_while_training_publishes_nothing(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(petrol_csv(2000))
    url = (tmp_path / "data.csv").as_uri()
    environ = environment(tmp_path, params={"n_estimators": 50_000}, inputs={"data": url})
    command = [sys.executable, "-m", "jobs", "train_model"]
    with subprocess.Popen(command, env=environ, cwd=ROOT, stderr=subprocess.PIPE, text=True) as step:
        _wait_until_busy(step.pid, seconds=3)
        step.send_signal(signal.SIGTERM)
        start = time.monotonic()
        _, error = step.communicate(timeout=40)
    assert time.monotonic() - start < 25
    assert step.returncode == 143
    assert error.splitlines()[-1] == "train_model: stopped by SIGTERM; nothing that was under way is published"
    assert published(tmp_path) == []


def _wait_until_busy(pid: int, *, seconds: float) -> None:
    """Until the process has used so much processor time: then it is past its imports and trains."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            user = int(file.read().rpartition(")")[2].split()[11])
        if user / os.sysconf("SC_CLK_TCK") > seconds:
            return
        time.sleep(0.05)
    raise AssertionError("the step does nothing")


def test_the_pickle_is_a_pipeline_that_predicts_on_plain_numbers(tmp_path: Path) -> None:
    assert train(tmp_path, petrol()).code == 0
    pipeline = pickle.loads((tmp_path / "out" / "model.pkl").read_bytes())  # noqa: S301
    assert [name for name, _ in pipeline.steps] == ["scale", "forest"]
    assert 100 < pipeline.predict([[9.0, 3571, 1976, 0.525]])[0] < 1200


def test_a_table_takes_eight_bytes_a_cell_and_no_file(tmp_path: Path) -> None:
    """A CSV of 60 MB in long digits is 16 MB of numbers: reading it must not cost the 60."""
    program = f"""
import resource
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
    (tmp_path / "long.csv").write_text("a,b,c,d,e\n" + row * 400_000)
    (tmp_path / "long.csv.warm").write_text("a,b,c,d,e\n" + row * 20)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    rows, grown = map(int, done.stdout.split())
    assert rows == 400_000
    assert grown < 40_000_000
    assert (tmp_path / "long.csv").stat().st_size > 60_000_000


def test_a_name_of_a_huge_cell_is_cut_in_the_message(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1," + "y" * 10_000 + "\n")
    url = Input((tmp_path / "x.csv").as_uri())
    with pytest.raises(BadInput, match=r"column 'b' is 'y{40}\.\.\.'; want a number"):
        read_table(store_for(url), url, target="a")
