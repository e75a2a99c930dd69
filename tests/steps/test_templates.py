"""Templates that hang in the triggerer are refused when the DAG is parsed; the others keep their types."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, TaskGroup
from airflow.serialization.serialized_objects import DagSerialization

from tidegate.airflow.paths import Path, choose
from tidegate.airflow.references import ReferenceError_, encode, pick
from tidegate.airflow.step_operator import StepOperator
from tidegate.airflow.steps import step
from tidegate.airflow.templates import TemplateError, refuse, render
from tidegate.airflow.trigger import StepTrigger


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("{{ ti.xcom_pull(task_ids='a') }}", "map_indexes=-1"),
        ("{{ task_instance.xcom_pull(task_ids='a', map_indexes=none) }}", "map_indexes=-1"),
        ("{{ prev_start_date_success }}", "data_interval_start"),
        ("{{ prev_data_interval_end_success | ds }}", "data_interval_end"),
        ("{{ triggering_asset_events }}", "worker=True"),
        ("{{ conn.db.password }}", "Secret"),
        ("{{ my_macro(1) }}", "DAG file"),
        ("{{ ds | my_filter }}", "DAG file"),
        ("{{ ti.get_previous_dagrun() }}", "worker=True"),
        ("{{ ds ", "is not a template"),
    ],
)
def test_a_template_that_hangs_or_fails_is_refused_with_what_to_write(text: str, advice: str) -> None:
    with pytest.raises(TemplateError, match=r"does not work|not a template"), DAG("d", schedule=None):
        step("a", params={"deep": [{"x": text}]})
    with pytest.raises(TemplateError) as caught:
        refuse({"deep": [text]}, where="params")
    assert advice in str(caught.value)
    assert "deep" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{ ds }}/{{ ts_nodash }}",
        "{{ ti.xcom_pull(task_ids='a', map_indexes=-1)['x'] }}",
        "{{ params.n * 2 }}",
        "{{ dag_run.conf.get('a', 1) }}",
        "{% for i in range(3) %}{{ i }}{% endfor %}",
        "{{ macros.ds_add(ds, 1) | replace('-', '') }}",
        "{% set a = 1 %}{{ a }}",
        "no template",
    ],
)
def test_a_template_that_works_is_taken(text: str) -> None:
    refuse({"x": text}, where="params")


def test_a_template_in_a_key_is_refused() -> None:
    with pytest.raises(TemplateError, match="only values"):
        refuse({"{{ ds }}": 1}, where="params")


def test_a_single_expression_keeps_its_type_and_text_stays_text() -> None:
    context = {"params": {"n": 200, "list": [1, 2], "day": "20260101"}, "ds": "2026-01-01"}
    value = {
        "n": "{{ params.n }}",
        "l": "{{ params.list }}",
        "d": "{{ params.day }}",
        "t": "on {{ ds }}",
        "k": [1, None],
    }
    assert render(value, context) == {"n": 200, "l": [1, 2], "d": "20260101", "t": "on 2026-01-01", "k": [1, None]}


def test_a_name_that_this_run_has_not_is_an_error_that_names_the_template() -> None:
    for text in ("{{ ds }}", "on {{ ds }}"):
        with pytest.raises(TemplateError, match="ds"):
            render(text, {})


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({}, Path.WORKERLESS),
        ({"outlets": [Asset("s3://b/k")]}, Path.FINISH),
        ({"on_success_callback": print}, Path.FINISH),
        ({"on_execute_callback": print}, Path.START),
        ({"worker": True}, Path.START),
    ],
)
def test_the_path_follows_from_what_a_task_asks_for(options: dict[str, Any], path: Path) -> None:
    with DAG("d", schedule=None):
        task = step("a", **options)
    assert task.path is path
    assert task.start_from_trigger is (path is not Path.START)


def test_default_args_of_the_dag_count_for_the_path_also_of_a_mapped_step() -> None:
    with DAG("d", schedule=None, default_args={"on_success_callback": print, "retries": 4}):
        task = step("a")
        mapped = step.partial("b").expand(params=[{}])
    assert task.path is Path.FINISH
    for args in (task.start_trigger_args, mapped.start_trigger_args):
        assert args is not None
        assert args.trigger_kwargs is not None
        assert (args.trigger_kwargs["worker"], args.trigger_kwargs["retries"]) == (True, 4)


def test_airflow_before_3_3_starts_on_a_worker() -> None:
    assert choose({}, worker=False, version=(3, 2))[0] is Path.START


@pytest.mark.parametrize(
    "options", [{"run_as_user": "root"}, {"max_active_tis_per_dag": 1}, {"image": "x"}, {"on_skipped_callback": print}]
)
def test_what_airflow_would_ignore_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="step"), DAG("d", schedule=None):
        step("a", **options)


def test_trigger_arguments_are_attributes_of_the_trigger_and_plain_json() -> None:
    with DAG("d", schedule=None):
        up = step("a")
        task = step("b", params={"x": up.output}, inputs={"m": up.output["model"]}, timeout=timedelta(minutes=1))
    assert task.start_trigger_args is not None
    kwargs = task.start_trigger_args.trigger_kwargs
    assert kwargs is not None
    trigger = StepTrigger(**json.loads(json.dumps(kwargs)))
    assert trigger.serialize()[1].keys() >= kwargs.keys()
    assert all(hasattr(trigger, name) for name in StepOperator.template_fields)
    assert kwargs["inputs"] == {"m": {"$xcom": {"task_id": "a", "key": "model"}}}
    assert task.upstream_task_ids == {"a"}
    assert task.execution_timeout == timedelta(minutes=1) + timedelta(hours=24, minutes=10), "a net, later than our own"


def test_a_reference_that_needs_a_worker_is_refused() -> None:
    with DAG("d", schedule=None):
        up = step("a")
        with pytest.raises(ReferenceError_, match="worker=True"):
            step("b", params={"x": up.output.map(len)})
        with pytest.raises(ReferenceError_, match="not JSON"):
            encode({"x": object()}, where="params")


def test_task_ids_in_references_carry_their_group() -> None:
    with DAG("d", schedule=None), TaskGroup("g"):
        up = step("a")
        task = step("b", inputs={"m": up.output["model"]})
    assert task.start_trigger_args is not None
    kwargs = task.start_trigger_args.trigger_kwargs or {}
    assert kwargs["inputs"]["m"] == {"$xcom": {"task_id": "g.a", "key": "model"}}


def test_mapped_arguments_are_counted_as_airflow_counts_them() -> None:
    lists: dict[str, list[Any]] = {"a": [1, 2], "b": ["x", "y", "z"]}
    found = [pick(lists, index) for index in range(6)]
    assert found == [{"a": a, "b": b} for a in (1, 2) for b in ("x", "y", "z")]
    with pytest.raises(ReferenceError_, match="6 of 6"):
        pick(lists, 6)


def test_serialized_dag_is_the_same_each_time() -> None:
    def build() -> Any:
        with DAG("d", schedule=None) as dag:
            up = step("a", params={"n": "{{ params.n }}"})
            step.partial("b", inputs={"m": up.output["model"]}).expand(params=[{"x": 1}, {"x": 2}])
        return DagSerialization.to_dict(dag)

    assert build() == build()
