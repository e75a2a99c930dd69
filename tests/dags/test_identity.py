"""Names, labels and paths are pure functions of whose try it is."""

from __future__ import annotations

import re

import pytest

from tidegate.airflow.identity import (
    Identity,
    exact_ids,
    instance_labels,
    label_value,
    labels,
    path_part,
    pod_name,
    service_account,
)

RUN = Identity(
    dag_id="petrol",
    run_id="scheduled__2026-11-21T11:00:00+00:00",
    task_id="train_model",
    try_number=1,
    logical_date="2026-11-21T11:00:00+00:00",
    ti_id="0190a",
)
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


def other(**changes: object) -> Identity:
    return Identity(**{**RUN.__dict__, **changes})


def test_the_same_try_has_the_same_name() -> None:
    assert pod_name("train_model", RUN) == pod_name("train_model", other(ti_id="another", logical_date="x"))
    assert pod_name("train_model", RUN) == "train-model-3aa381aab0f6a4ea"


@pytest.mark.parametrize(
    "changes",
    [{"dag_id": "a"}, {"run_id": "a"}, {"task_id": "a"}, {"map_index": 0}, {"try_number": 2}],
    ids=lambda changes: next(iter(changes)),
)
def test_everything_that_makes_a_try_makes_its_name(changes: dict[str, object]) -> None:
    assert pod_name("train_model", other(**changes)) != pod_name("train_model", RUN)


def test_ids_that_run_together_do_not_meet() -> None:
    assert pod_name("x", other(dag_id="a", run_id="bc")) != pod_name("x", other(dag_id="ab", run_id="c"))


@pytest.mark.parametrize("step", ["hello", "a" * 200, "x" * 45 + "_y", "Upper_Case", "trailing_"])
def test_names_are_names_kubernetes_takes(step: str) -> None:
    assert NAME.fullmatch(pod_name(step, RUN))
    assert len(pod_name(step, RUN)) <= 63


@pytest.mark.parametrize(
    "text", ["plain", "manual__2026-11-21T11:05:03.123456+00:00", "x" * 300, "_leading", "späte Läufe", "+++", "a/b"]
)
def test_label_values_are_values_kubernetes_takes(text: str) -> None:
    assert LABEL.fullmatch(label_value(text))
    assert label_value(text) == label_value(text)
    assert (label_value(text) == text) == bool(LABEL.fullmatch(text))


def test_shortened_label_values_stay_apart() -> None:
    assert label_value("x" * 100) != label_value("x" * 101)
    assert label_value("a:b") != label_value("a+b")


def test_tries_of_one_task_instance_share_labels_and_differ_in_one() -> None:
    assert instance_labels(RUN) == instance_labels(other(try_number=2))
    assert instance_labels(RUN).items() <= labels("train_model", RUN).items()
    assert instance_labels(RUN) != instance_labels(other(map_index=0))
    differing = {
        key
        for key, value in labels("train_model", other(try_number=2)).items()
        if labels("train_model", RUN)[key] != value
    }
    assert differing == {"tidegate.dev/try"}


def test_exact_ids_stand_in_annotations() -> None:
    assert exact_ids(RUN)["tidegate.dev/run-id"] == RUN.run_id


def test_paths_are_readable_and_as_unique_as_run_ids() -> None:
    assert path_part("my_run-1.0") == "my_run-1.0"
    assert path_part(RUN.run_id).startswith("scheduled__2026-11-21T11-00-00-00-00-")
    assert path_part("a:b") != path_part("a+b")
    assert path_part("..") not in ("..", "")


def test_a_service_account_for_each_pipeline() -> None:
    assert service_account("petrol") == "pipeline-petrol"
    assert service_account("ml_training_dag") == "pipeline-ml-training-dag"


def test_a_step_is_told_the_documented_keys() -> None:
    assert set(RUN.document()) == {
        "dag_id", "run_id", "task_id", "map_index", "try_number", "logical_date", "ledger_key",
    }  # fmt: skip
