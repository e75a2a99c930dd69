"""A step from its start to its end: made, waited for, read, refused; against a Kubernetes API that answers."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred

from tests.dags.kubernetes_api import KubernetesApi, ended, running, unschedulable, waiting
from tests.dags.test_endings import RESULT
from tests.dags.tries import Task, environment, first_event, identity, make
from tidegate.airflow import step
from tidegate.airflow.identity import pod_name


def test_a_step_runs_and_hands_back_its_result(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [waiting("ContainerCreating"), running(), running(), ended(0, json.dumps(RESULT))]
    xcoms = Task(make()).run()
    assert xcoms["return_value"] == RESULT
    assert xcoms["model"] == "s3://b/m.pkl"
    assert xcoms["pod_name"] == api.made()[0]["metadata"]["name"]


def test_a_pod_that_ended_at_once_is_read_all_the_same(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [ended(0, json.dumps(RESULT))]
    task = Task(make())
    task.run()
    assert task.xcoms["return_value"] == RESULT
    assert len(api.pods) == 1


@pytest.mark.parametrize(
    ("logical_date", "told"),
    [(None, "2026-11-21T11:05:00+00:00"), (datetime(2026, 1, 1, 5, tzinfo=UTC), "2026-01-01T05:00:00+00:00")],
)
def test_a_run_without_logical_date_is_told_run_after(
    api: KubernetesApi, logical_date: datetime | None, told: str
) -> None:
    Task(make(), logical_date=logical_date).defer()
    assert json.loads(environment(api.made()[0])["TIDEGATE_RUN"])["logical_date"] == told


def test_inputs_and_output_are_urls_under_the_store(api: KubernetesApi) -> None:
    Task(make(inputs={"data": "data/x.csv", "other": "abfss://f@a/x"}, output="models/petrol")).defer()
    found = environment(api.made()[0])
    assert json.loads(found["TIDEGATE_INPUTS"]) == {"data": "s3://tidegate/data/x.csv", "other": "abfss://f@a/x"}
    assert found["TIDEGATE_OUTPUT"] == "s3://tidegate/models/petrol"


def test_without_an_output_every_run_has_its_own(api: KubernetesApi) -> None:
    Task(make()).defer()
    assert environment(api.made()[0])["TIDEGATE_OUTPUT"] == "s3://tidegate/runs/petrol/manual__1/train_model"


def test_one_expression_keeps_its_type_and_text_stays_text(api: KubernetesApi) -> None:
    params = {
        "trees": "{{ params.trees }}",
        "list": ["{{params.trees}}"],
        "text": "{{ params.trees }} trees",
        "digits": "{{ params.digits }}",
        "plain": 0.2,
    }
    made = make(params=params)
    task = Task(made)
    made.render_template_fields(task.context)
    task.defer()
    told = json.loads(environment(api.made()[0])["TIDEGATE_PARAMS"])
    assert told == {"trees": 7, "list": [7], "text": "7 trees", "digits": "007", "plain": 0.2}


def test_an_undefined_name_in_a_template_fails_the_task() -> None:
    made = make(params={"trees": "{{ params.treees }}"})
    with pytest.raises(Exception, match="treees"):
        made.render_template_fields(Task(made).context)


def test_an_input_that_no_step_wrote_is_refused_by_name(api: KubernetesApi) -> None:
    with pytest.raises(AirflowFailException, match="input 'model' of step train_model is None"):
        Task(make(inputs={"model": None})).defer()
    assert api.pods == {}


FAILURES = [
    (ended(2, "no column Target"), AirflowFailException, "no column Target"),
    (ended(137, reason="OOMKilled"), AirflowFailException, r"raise steps\.train_model\.resources\.limits\.memory"),
    (waiting("ErrImagePull", "manifest unknown"), AirflowFailException, "cannot be pulled"),
    (waiting("InvalidImageName", "bad"), AirflowFailException, "cannot be pulled"),
    (ended(75, "throttled"), AirflowException, "throttled"),
    (ended(1, "boom"), AirflowException, "boom"),
    ({}, AirflowException, "deleted before its result"),
]


@pytest.mark.parametrize(("end", "kind", "said"), FAILURES, ids=[said[:20] for _, _, said in FAILURES])
def test_failures_say_what_happened_and_whether_to_try_again(
    api: KubernetesApi, end: dict[str, Any], kind: type[Exception], said: str
) -> None:
    api.scripts["train_model"] = [running(), end]
    if end and end["phase"] == "Pending":
        api.scripts["train_model"] = [end]
    with pytest.raises(AirflowException, match=said) as caught:
        Task(make()).run()
    assert type(caught.value) is kind


def test_the_log_of_a_container_that_never_ran_is_not_asked_for(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [waiting("InvalidImageName", "bad")]
    with pytest.raises(AirflowFailException):
        Task(make()).run()
    assert not any(path.split("?")[0].endswith("/log") for _, path in api.requests)


def test_a_pod_that_cannot_start_is_not_left_behind(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [waiting("CreateContainerConfigError", 'secret "step-train-model" not found')]
    made = make()
    made.startup_timeout_seconds = 0
    with pytest.raises(AirflowFailException, match='secret "step-train-model" not found'):
        Task(made).run()
    assert api.pods == {}


def test_a_pod_that_no_node_takes_is_given_up_and_tried_again(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [unschedulable("0/1 nodes are available: 1 Insufficient memory")]
    made = make()
    made.schedule_timeout_seconds = 0
    with pytest.raises(AirflowException, match="Insufficient memory") as caught:
        Task(made).run()
    assert type(caught.value) is AirflowException
    assert api.pods == {}


def test_what_the_pod_printed_is_in_the_tasks_log(api: KubernetesApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.scripts["train_model"] = [ended(0)]
    task = Task(make())
    api.logs[pod_name("train_model", identity("manual__1"))] = "first line\nlast line\n"
    task.run()
    assert "last line" in capsys.readouterr().out


def test_a_watcher_that_lost_sight_of_a_running_pod_looks_again(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [running()]
    task = Task(make())
    task.defer()
    event = {
        "name": api.made()[0]["metadata"]["name"],
        "namespace": "tidegate-steps",
        "status": "error",
        "message": "x",
    }
    with pytest.raises(TaskDeferred) as again:
        task.step.trigger_reentry(task.context, event)
    assert again.value.trigger.trigger_kwargs["_redefer_count"] == 1
    with pytest.raises(AirflowException, match="did not end in time"):
        task.step.trigger_reentry(task.context, {**event, "_redefer_count": 3})
    assert api.pods == {}


def test_an_api_server_that_is_away_for_a_moment_costs_no_try(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [ended(0, json.dumps(RESULT))]
    task, api.outages = Task(make()), [503, 0, 500, 0, 504]
    deferred = task.defer()
    api.outages = [429]
    event = asyncio.run(first_event(deferred.trigger))
    api.outages = [502]
    task.step.trigger_reentry(task.context, event)
    assert task.xcoms["return_value"] == RESULT
    assert len(api.pods) == 1


REFUSALS = [
    (403, 'error looking up service account tidegate-steps/pipeline-petrol: serviceaccount "pipeline-petrol" not found',
     AirflowFailException, r"add pipelines\.petrol to the chart's values"),
    (403, 'pods "x" is forbidden: exceeded quota: compute', AirflowException, "exceeded quota"),
    (403, 'pods "x" is forbidden: violates PodSecurity "restricted"', AirflowFailException, "violates PodSecurity"),
    (422, "spec.containers[0].image: Required value", AirflowFailException, "Required value"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "message", "kind", "said"), REFUSALS, ids=[case[3][:20] for case in REFUSALS])
def test_a_pod_that_kubernetes_refuses_is_explained(
    api: KubernetesApi, status: int, message: str, kind: type[Exception], said: str
) -> None:
    api.refusals.append((status, message))
    with pytest.raises(AirflowException, match=said) as caught:
        Task(make()).defer()
    assert type(caught.value) is kind


def test_a_step_the_chart_does_not_know_is_refused(api: KubernetesApi) -> None:
    with pytest.raises(AirflowFailException, match=r"add steps\.fetch_weather to the chart's values"):
        Task(make("fetch_weather")).defer()


def test_an_output_may_not_take_a_name_of_airflows(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [ended(0, json.dumps({"outputs": [{"name": "return_value", "url": "s3://b/x"}]}))]
    with pytest.raises(AirflowFailException, match="return_value"):
        Task(make()).run()


def test_what_describes_a_pod_is_no_option_of_a_dag() -> None:
    with pytest.raises(TypeError, match=r"step\('hello'\) takes no env_vars, image: set steps\.hello in the chart's"):
        step("hello", image="busybox", env_vars={"PASSWORD": "x"})


def test_no_secret_is_in_what_airflow_stores(api: KubernetesApi) -> None:
    """Rendered fields, XComs and the trigger's arguments are kept in Airflow's database."""
    api.config_maps["tidegate-steps"]["train_model"] = api.config_maps["tidegate-steps"]["train_model"].replace(
        "us-east-1", "setting-of-the-pod"
    )
    task = Task(make(inputs={"data": "data/x.csv"}))
    deferred = task.defer()
    _, trigger_arguments = deferred.trigger.serialize()
    del trigger_arguments["config_dict"]  # the kubeconfig of this test; in a cluster it is empty
    stored = json.dumps(
        [{name: getattr(task.step, name) for name in task.step.template_fields}, task.xcoms, trigger_arguments],
        default=str,
    )
    assert "setting-of-the-pod" not in stored
    assert "SECRET" not in stored
    assert set(task.step.template_fields) == {"step_params", "inputs", "output_url"}
