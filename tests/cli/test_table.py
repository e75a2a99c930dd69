"""What `up` prints: every task, what it wrote, the metrics, and where to look; never a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from tidegate.cli import table
from tidegate.cli.runs import Ran, Run

if TYPE_CHECKING:
    from rich.table import Table

PETROL = Run("petrol", "up__1")
MODEL = "s3://tidegate/models/petrol/2026/01/31/13/model-0123456789ab.pkl"
TRAINED = Ran(PETROL, "train_model", "success", 1, 12.4, {"metrics": {"mae": 31.25, "rows": 48}, "summary": "48 rows"})
UPLOADED = Ran(PETROL, "upload_model", "success", 1, 3.0, {"outputs": [{"name": "model", "url": MODEL}]})


def text(shown: Table) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(shown)
    return captured.get()


def test_every_task_is_listed_with_what_it_says() -> None:
    said = text(table.ran([TRAINED, UPLOADED]))
    assert "train_model" in said
    assert "48 rows" in said


def test_what_was_written_stands_whole_on_a_line_of_its_own() -> None:
    assert table.wrote([TRAINED, UPLOADED]) == [f"petrol.upload_model  model  {MODEL}"]


def test_where_to_look_names_the_model_its_metrics_and_the_log() -> None:
    said = table.where_to_look([TRAINED, UPLOADED], logs=["kubectl logs x"], user="admin")
    assert f"model      {MODEL}" in said
    assert "metrics    mae 31.25, rows 48" in said
    assert "pod's log  kubectl logs x" in said
    assert any("http://127.0.0.1:8080" in line for line in said)
    assert any("tidegate password" in line for line in said)


def test_the_same_metrics_are_said_once() -> None:
    assert table.metrics([TRAINED, TRAINED]) == ["mae 31.25, rows 48"]


def test_a_run_without_results_is_shown_as_such() -> None:
    failed = Ran(PETROL, "train_model", "failed", 3, 0.0)
    assert table.model([failed]) == ""
    assert table.metrics([failed]) == []
    assert table.wrote([failed]) == []
    assert "failed" in text(table.ran([failed]))


def test_the_weather_has_its_file_and_a_line_for_each_city() -> None:
    url = "abfss://tidegate@lake/raw/weather_data/2026/01/31/13/00/weather_data.json"
    figures = {"Redmond [K]": 281.15, "Seattle [K]": 282.4}
    result = {"outputs": [{"name": "weather", "url": url}], "metrics": figures}
    tasks = [TRAINED, Ran(Run("weather", "up__1"), "fetch_weather", "success", 1, 7.0, result)]
    assert table.weather(tasks) == [url, "Redmond [K] 281.1", "Seattle [K] 282.4"]
    assert table.metrics(tasks) == ["mae 31.25, rows 48"]
    said = table.where_to_look(tasks, logs=[], user="admin")
    assert [line for line in said if line.startswith("weather")] == [
        f"weather   {url}",
        "weather   Redmond [K] 281.1",
        "weather   Seattle [K] 282.4",
    ]
    assert table.weather([TRAINED, UPLOADED]) == []


def test_people_are_counted_and_the_mail_has_an_address() -> None:
    figures = {"records": 1200, "new": 1000, "match": 150, "review": 40, "inserted": 1000, "rejected": 10}
    run = Run("people", "up__1")
    matched = Ran(run, "dedup_people", "success", 1, 5.0, {"metrics": figures})
    tasks = [TRAINED, matched, Ran(run, "tell_success", "success", 1, 3.0, {"metrics": {"sent": 1}})]
    assert table.people(tasks) == ["1,200 records: 1,000 new, 150 known, 40 to review, 10 rejected"]
    assert table.metrics(tasks) == ["mae 31.25, rows 48"]
    said = table.where_to_look(tasks, logs=[], user="admin")
    assert "people    1,200 records: 1,000 new, 150 known, 40 to review, 10 rejected" in said
    assert "mail      http://127.0.0.1:1080 while `.venv/bin/tidegate mail` runs" in said


def test_where_no_mail_went_out_none_is_to_be_read() -> None:
    skipped = Ran(Run("people", "up__1"), "tell_success", "upstream_failed", 0, 0.0)
    assert table.mail([skipped]) == []
    assert table.people([skipped]) == []
