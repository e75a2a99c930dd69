"""train_model refuses what it cannot learn from: exit 2, a word on what to change, nothing published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobs.train_model.table import read_table
from tests.jobs.steps import environment, files, fork_step, published, train
from tidegate.sample import petrol_csv
from tidegate.step import BadInput, Input, store_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.conftest import Place


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
    done = fork_step("train_model", environment(tmp_path, inputs={"data": url}))
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
        done = fork_step("train_model", environment(tmp_path, inputs={"data": url}) | keys)
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
    done = fork_step("train_model", environ | dict(remote_place.server.environment))
    assert done.code == 2, done.error
    assert done.last_line.startswith("train_model: $TIDEGATE_OUTPUT: ")
    assert "create it or correct" in done.last_line
    assert files(tmp_path) == []


def test_a_name_of_a_huge_cell_is_cut_in_the_message(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1," + "y" * 10_000 + "\n")
    url = Input((tmp_path / "x.csv").as_uri())
    with pytest.raises(BadInput, match=r"column 'b' is 'y{40}\.\.\.'; want a number"):
        read_table(store_for(url), url, target="a")
