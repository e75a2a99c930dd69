"""The trigger through the harness for people who write DAGs: values, failures, what ends a pod and what does not."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, task_group
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from tests.steps.scene import RUN
from tidegate.airflow import results
from tidegate.airflow import trigger as trigger_module
from tidegate.airflow.early import Early, value_in
from tidegate.airflow.results import hand_back
from tidegate.airflow.steps import step
from tidegate.airflow.testing import FakeAirflow, StepRun, make_trigger, run_step

if TYPE_CHECKING:
    from pathlib import Path

REPORT = """
import json, os, sys
def finish(**more):
    read = lambda name: json.loads(os.environ["TIDEGATE_" + name])
    base = {"outputs": [], "metrics": {}, "summary": "done", "params": read("PARAMS"), "inputs": read("INPUTS"),
            "run": read("RUN"), "output": os.environ["TIDEGATE_OUTPUT"]}
    open(os.environ["TIDEGATE_RESULT"], "w").write(json.dumps({**base, **more}))
"""


def command(code: str = "finish()") -> dict[str, list[str]]:
    return {"work": [sys.executable, "-u", "-c", REPORT + code]}


def with_retries() -> DAG:
    with DAG("d", schedule=None) as dag:
        step("work", retries=2)
    return dag


def run(code: str = "finish()", *, task: str = "work", dag: DAG | None = None, **more: Any) -> StepRun:
    return run_step((dag or with_retries()).get_task(task), commands=command(code), **more)


def test_a_list_can_be_mapped_over() -> None:
    found = run("finish(value=[1, 2, 3])")
    assert found.values["return_value"] == [1, 2, 3]
    assert found.lengths["return_value"] == 3


def test_each_output_is_a_value_of_its_own() -> None:
    found = run("finish(outputs=[{'name': 'model', 'url': 's3://b/m'}])")
    assert found.values["model"] == "s3://b/m"


def test_bad_input_ends_the_task_for_good_with_the_steps_own_words() -> None:
    found = run("print('set $TARGET: no such column'); sys.exit(2)")
    assert (found.state, found.path) == ("failed_for_good", "worker")
    log = "\n".join(found.log)
    assert "FAILED bad_input" in log
    assert found.values["failure"]["kind"] == "bad_input"
    assert "failure" not in run(try_number=2).values
    assert "Last words: set $TARGET: no such column" in log


def test_failure_for_good_needs_no_worker_where_no_retry_is_set() -> None:
    with DAG("d", schedule=None) as dag:
        step("work")
    assert run("sys.exit(2)", dag=dag).path == "triggerer"


def test_other_failures_follow_the_retries_of_the_task() -> None:
    assert (run("sys.exit(1)").state, run("sys.exit(75)").state) == ("failed", "failed")


def test_a_result_that_is_none_is_a_failure_for_good() -> None:
    found = run("open(os.environ['TIDEGATE_RESULT'], 'w').write('not json')")
    assert found.state == "failed_for_good"
    assert "bad_result" in "\n".join(found.log)


@pytest.mark.parametrize("name", ["return_value", "failure"])
def test_an_output_may_not_take_a_name_of_ours(name: str) -> None:
    found = run(f"finish(outputs=[{{'name': {name!r}, 'url': 's3://b/x'}}])")
    assert (found.state, found.values["failure"]["kind"]) == ("failed_for_good", "bad_result")
    assert name in found.values["failure"]["message"]


def test_unknown_step_names_the_value_to_set() -> None:
    found = run(config={"_platform": json.dumps({"store_root": "s3://b"}), "other": "{}"})
    assert found.state == "failed_for_good"
    assert "add steps.work to the chart's values" in "\n".join(found.log)


def test_run_without_logical_date_has_run_after_and_says_so_where_a_template_wants_ds() -> None:
    found = run(logical_date=None)
    assert found.values["return_value"]["run"]["logical_date"].endswith("+00:00")
    with DAG("d", schedule=None) as dag:
        step("work", params={"day": "{{ ds }}"})
    assert "'ds' is undefined" in "\n".join(run(dag=dag, logical_date=None).log)


def test_mapped_task_picks_its_own_arguments_in_the_order_of_the_file() -> None:
    with DAG("d", schedule=None) as dag:
        step.partial("work", inputs={"d": "x"}).expand(params=[{"a": 1}, {"a": 2}], output=["o1", "o2", "o3"])
    found = [run(dag=dag, map_index=index).values["return_value"] for index in (0, 1, 3)]
    assert [(item["params"]["a"], item["output"][-2:]) for item in found] == [(1, "o1"), (1, "o2"), (2, "o1")]


def test_mapped_over_an_upstream_list_and_inside_a_group() -> None:
    with DAG("d", schedule=None) as dag:
        up = step("up")
        step.partial("work").expand(params=up.output)

        @task_group
        def each(x: Any) -> None:
            first = step("first")
            step("work", task_id="inner", params={"x": x}, inputs={"m": first.output["model"]})

        each.expand(x=[7, 8])
    mapped = run(dag=dag, map_index=1, xcoms={"up": {"return_value": [{"n": 1}, {"n": 2}]}})
    assert mapped.values["return_value"]["params"] == {"n": 2}
    inner = run(dag=dag, task="each.inner", map_index=1, xcoms={"each.first": {"model": ["s3://b/0", "s3://b/1"]}})
    assert inner.values["return_value"]["params"] == {"x": 8}
    assert inner.values["return_value"]["inputs"] == {"m": "s3://b/1"}


def test_all_results_of_a_mapped_task_arrive_as_a_list() -> None:
    with DAG("d", schedule=None) as dag:
        up = step.partial("up").expand(params=[{}, {}])
        step("work", params={"all": up.output})
    found = run(dag=dag, xcoms={"up": {"return_value": [{"a": 1}, {"a": 2}]}})
    assert found.values["return_value"]["params"] == {"all": [{"a": 1}, {"a": 2}]}


def test_missing_upstream_value_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    del monkeypatch
    with DAG("d", schedule=None) as dag:
        up = step("up")
        step("work", inputs={"m": up.output["model"]}, retries=1)
    found = run(dag=dag)
    assert found.state == "failed_for_good"
    assert "task up left no 'model'" in "\n".join(found.log)


def test_a_template_that_hangs_all_the_same_fails_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that Airflow leaves without an answer (here: XComs of all indexes) must not hang the step."""
    monkeypatch.setattr(trigger_module, "RENDER_SECONDS", 0.5)
    monkeypatch.setattr(results, "FAILURE_SECONDS", 0.5)
    with DAG("d", schedule=None) as dag:
        up = step("up")
        step("work", inputs={"m": up.output["model"]}, retries=1)
    comms = FakeAirflow({})
    monkeypatch.setattr(comms, "_xcom", lambda _message: None)
    monkeypatch.setattr(FakeAirflow, "send", lambda _self, _message: None)
    with comms.installed():
        trigger = make_trigger(dag.get_task("work"), comms=comms)

        async def story() -> Any:
            async with asyncio.timeout(60):
                with comms.installed():
                    return [event async for event in trigger.run()]

        (event,) = asyncio.run(story())
    assert event.payload["kind"] == "not_configured"


def test_result_too_long_for_the_termination_message_is_read_through_its_pointer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps(
        {"outputs": [{"name": "model", "url": "s3://b/m"}], "metrics": {"x": 1.0}, "summary": "long"}
    ).encode()
    (tmp_path / "_RESULT.json").write_bytes(body)
    pointer = {"result_url": (tmp_path / "_RESULT.json").as_uri(), "sha256": hashlib.sha256(body).hexdigest()}
    monkeypatch.setattr("tidegate.airflow.results._fetch", lambda url: (tmp_path / url.rpartition("/")[2]).read_bytes())
    code = f"open(os.environ['TIDEGATE_RESULT'], 'w').write({json.dumps(pointer)!r})"
    assert run(code).values["model"] == "s3://b/m"
    (tmp_path / "_RESULT.json").write_bytes(b'{"outputs": []}')
    assert run(code).state == "failed_for_good", "a result that is not what the step wrote was taken"
    (tmp_path / "_RESULT.json").unlink()
    assert run(code).values["return_value"] == pointer, "a pointer that cannot be read here is passed on"


class Away(FakeAirflow):
    """Airflow, whose database is away for the first questions."""

    faults = 2
    kind = ErrorType.API_SERVER_ERROR

    def send(self, message: Any) -> Any:
        if self.faults:
            self.faults -= 1
            raise AirflowRuntimeError(ErrorResponse(error=self.kind, detail={}))
        return super().send(message)


def written(comms: FakeAirflow) -> dict[str, Any]:
    """What a success leaves."""
    with comms.installed():
        asyncio.run(hand_back({"return_value": 1}, RUN))
    return comms.written


def test_a_result_is_not_lost_while_airflows_database_restarts() -> None:
    assert written(Away({})) == {"return_value": 1}


def test_a_refusal_of_airflows_is_not_repeated() -> None:
    refused = Away({})
    refused.kind = ErrorType.PERMISSION_DENIED
    with pytest.raises(AirflowRuntimeError):
        written(refused)
    assert refused.faults == 1


TELLS = "print('TIDEGATE_VALUE ' + json.dumps({'name': 'studio_url', 'value': 'https://ml'}), flush=True); "


def test_a_value_that_is_told_early_is_there_also_when_the_step_fails() -> None:
    found = run(TELLS + "sys.exit(1)")
    assert found.state == "failed"
    assert found.values["studio_url"] == "https://ml"
    assert not [line for line in found.log if line.startswith("TIDEGATE_VALUE")]
    assert "studio_url: https://ml" in "\n".join(found.log)


@pytest.mark.parametrize(
    "line",
    [
        'TIDEGATE_VALUE {"name": "return_value", "value": 1}',
        'TIDEGATE_VALUE {"name": "failure", "value": 1}',
        'TIDEGATE_VALUE {"name": "_link", "value": 1}',
        'TIDEGATE_VALUE {"name": "", "value": 1}',
        "TIDEGATE_VALUE not json",
        "TIDEGATE_VALUE [1]",
        'see TIDEGATE_VALUE {"name": "a", "value": 1}',
        'TIDEGATE_VALUE {"name": "a", "value": "' + "x" * 3000 + '"}',
    ],
)
def test_other_lines_tell_no_value_and_stay_in_the_log(line: str) -> None:
    assert value_in(line) is None


def test_values_told_early_are_written_once_and_in_order() -> None:
    comms = FakeAirflow({})
    said: list[Any] = []

    async def story() -> None:
        early = Early(RUN, say=lambda *words: said.append(words))
        for value in ("Queued", "Queued", "Running"):
            assert early.take(f'TIDEGATE_VALUE {{"name": "status", "value": "{value}"}}')
        await early.done()

    with comms.installed():
        asyncio.run(story())
    assert comms.written == {"status": "Running"}
    assert len(said) == 2
