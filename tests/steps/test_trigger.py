"""The trigger through the harness for people who write DAGs: values, failures, what ends a pod and what does not."""

# ruff: noqa: ASYNC110

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, task_group

from tidegate.airflow import trigger as trigger_module
from tidegate.airflow.local_pods import LocalPods
from tidegate.airflow.steps import step
from tidegate.airflow.testing import FakeAirflow, StepRun, make_trigger, run_step
from tidegate.airflow.watch import connector

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
    with DAG("d", schedule=None) as dag:
        up = step("up")
        step("work", inputs={"m": up.output["model"]}, retries=1)
    comms = FakeAirflow({})
    monkeypatch.setattr(comms, "_xcom", lambda _message: None)
    monkeypatch.setattr(FakeAirflow, "send", lambda _self, _message: None)
    with comms.installed():
        trigger = make_trigger(dag.get_task("work"), comms=comms)

        async def story() -> Any:
            async with asyncio.timeout(10):
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


class Kill:
    """A trigger whose pod runs, and what `on_kill` does to it."""

    def __init__(self, state: str) -> None:
        with DAG("d", schedule=None) as dag:
            step("work")
        config = {"_platform": json.dumps({"store_root": "s3://b"})}
        config["work"] = json.dumps({"image": "x", "resources": {"limits": {"memory": "1Mi"}}})
        self.pods = LocalPods(config=config, commands=command("import time; time.sleep(60)"))
        self.comms = FakeAirflow({}, state=state)
        self.trigger = make_trigger(dag.get_task("work"), comms=self.comms, ti_id=uuid.uuid4())

    def play(self, *, cut_after: float | None = None) -> list[str]:
        """Start, cancel as Airflow does, call `on_kill`; return which pods were deleted."""

        async def connect(namespace: str, *, connection: str | None) -> LocalPods:
            return self.pods

        async def consume() -> None:
            async for _ in self.trigger.run():
                pass

        async def story() -> None:
            connector.set(connect)
            with self.comms.installed():
                task = asyncio.create_task(consume())
                async with asyncio.timeout(10):
                    while not any(pod["status"]["phase"] == "Running" for pod in self.pods.pods.values()):
                        await asyncio.sleep(0.01)
                task.cancel("__airflow_user_action__")
                await asyncio.wait({task})
                killing = asyncio.create_task(self.trigger.on_kill())
                await asyncio.wait({killing}, timeout=cut_after)
                killing.cancel()
                await asyncio.sleep(0.5)
                await self.pods.close()

        asyncio.run(story())
        return [request for request in self.pods.requests if request.startswith("delete")]


@pytest.mark.parametrize("state", ["failed", "success", "skipped", ""])
def test_pod_is_ended_when_a_person_ended_the_task(state: str) -> None:
    assert len(Kill(state).play()) == 1


def test_pod_is_left_alone_when_the_task_lives_on_another_triggerer() -> None:
    """A triggerer that froze loses its triggers and is told to kill them, though another one follows the pod now."""
    assert Kill("deferred").play() == []


def test_pod_is_ended_although_airflow_cuts_on_kill_short() -> None:
    kill = Kill("failed")
    slow = kill.pods.select

    async def select(selector: str) -> Any:
        await asyncio.sleep(0.2)
        return await slow(selector)

    kill.pods.select = select  # type: ignore[method-assign]
    assert len(kill.play(cut_after=0.05)) == 1


def test_airflows_own_timeout_ends_the_pod_though_it_calls_no_on_kill() -> None:
    """It is the net behind our own timeouts, for a trigger that hangs."""
    kill = Kill("deferred")
    kill.trigger.timeout_after = datetime.now(tz=UTC) - timedelta(seconds=1)

    async def nothing() -> None:
        return

    kill.trigger.on_kill = nothing  # type: ignore[method-assign]
    assert len(kill.play()) == 1


def test_shutdown_of_the_triggerer_leaves_the_pod() -> None:
    kill = Kill("deferred")

    async def nothing() -> None:
        return

    kill.trigger.on_kill = nothing  # type: ignore[method-assign]
    assert kill.play() == []


def test_the_dag_is_let_go_once_the_step_has_its_values() -> None:
    """Each trigger unpacks the whole DAG; kept, five hundred waiting steps are gigabytes."""
    kill = Kill("deferred")
    kill.play()
    assert kill.trigger._context is None
    assert kill.trigger.task is None
