"""The life of a step: made, waited for, read, retried, attached to, killed; against a Kubernetes API that answers."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred

from tests.dags.kubernetes_api import KubernetesApi, ended, running, unschedulable, waiting
from tests.dags.test_endings import RESULT
from tidegate.airflow import operator, step
from tidegate.airflow.identity import pod_name
from tidegate.airflow.pods import COLLECTED

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from tidegate.airflow.identity import Identity
    from tidegate.airflow.operator import StepOperator

RUN_AFTER = datetime(2026, 11, 21, 11, 5, tzinfo=UTC)


@dataclass
class Task:
    """One try of a task, as Airflow's task runner holds it."""

    step: StepOperator
    try_number: int = 1
    run_id: str = "manual__1"
    logical_date: datetime | None = None
    ti_id: str = "0190-1"
    xcoms: dict[str, Any] = field(default_factory=dict)

    @property
    def context(self) -> Context:
        ti = SimpleNamespace(
            dag_id="petrol",
            run_id=self.run_id,
            task_id=self.step.task_id,
            map_index=-1,
            try_number=self.try_number,
            id=self.ti_id,
            start_date=RUN_AFTER,
            xcom_push=lambda key, value: self.xcoms.update({key: value}),
        )
        run = SimpleNamespace(logical_date=self.logical_date, run_after=RUN_AFTER)
        return {"ti": ti, "dag_run": run, "run_id": self.run_id, "params": {"trees": 7, "name": "Ada", "digits": "007"}}

    def go_on(self, method: str, *arguments: object) -> TaskDeferred | None:
        """Call a method of the operator; what it waits for, or None when the task is done."""
        try:
            getattr(self.step, method)(self.context, *arguments)
        except TaskDeferred as deferred:
            return deferred
        return None

    def defer(self) -> TaskDeferred:
        deferred = self.go_on("execute")
        assert deferred
        return deferred

    def run(self) -> dict[str, Any]:
        """The whole try: until its end, on the real trigger."""
        deferred = self.go_on("execute")
        while deferred:
            deferred = self.go_on(deferred.method_name, asyncio.run(first_event(deferred.trigger)))
        return self.xcoms


async def first_event(trigger: BaseTrigger) -> dict[str, Any]:
    async for event in trigger.run():
        payload: dict[str, Any] = event.payload
        return payload
    raise AssertionError("the trigger ended without an event")


def make(name: str = "train_model", **options: object) -> StepOperator:
    with DAG("petrol", schedule=None):
        made = step(name, **options)
    made.poll_interval = made.startup_check_interval_seconds = 0.01
    return made


def environment(pod: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in pod["spec"]["containers"][0]["env"]}


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


def test_the_same_try_attaches_to_its_pod(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [running()]
    Task(make()).defer()
    first = api.made()
    Task(make()).defer()
    assert [pod["metadata"]["name"] for pod in api.made()] == [first[0]["metadata"]["name"]]
    assert not any(method == "DELETE" for method, _ in api.requests)


def test_a_new_try_first_ends_the_old_one(api: KubernetesApi) -> None:
    api.scripts["train_model"], api.slow_to_go = [running()], 2
    Task(make()).defer()
    old = api.made()[0]["metadata"]["name"]
    Task(make(), try_number=2, ti_id="0190-2").defer()
    assert [pod["metadata"]["labels"]["tidegate.dev/try"] for pod in api.made()] == ["2"]
    gone = [i for i, (method, path) in enumerate(api.requests) if method == "GET" and path.endswith(old)][-1]
    created = [i for i, (method, _) in enumerate(api.requests) if method == "POST"][-1]
    assert gone < created


@pytest.mark.parametrize("status", [running(), ended(0, json.dumps(RESULT))], ids=["running", "succeeded"])
def test_a_try_takes_over_the_pod_of_a_try_that_was_lost(api: KubernetesApi, status: dict[str, Any]) -> None:
    """A worker or the scheduler died, or Airflow took a deferral for a failure: the work is not lost."""
    api.scripts["train_model"] = [status, ended(0, json.dumps(RESULT))]
    Task(make()).defer()
    api.made()[0]["status"] = status
    xcoms = Task(make(), try_number=2).run()
    assert xcoms["return_value"] == RESULT
    assert len(api.pods) == 1
    assert sum(method == "POST" for method, _ in api.requests) == 1


@pytest.mark.parametrize(
    ("params", "ti_id", "status", "read"),
    [
        ({"target": "other"}, "0190-1", ended(0), False),
        ({}, "of another run", ended(0), False),
        ({}, "0190-1", ended(1), False),
        ({}, "0190-1", ended(0), True),
    ],
    ids=["other work", "another run", "failed", "read"],
)
def test_no_other_pod_is_taken_over(
    api: KubernetesApi, params: dict[str, str], ti_id: str, status: dict[str, Any], *, read: bool
) -> None:
    lost = Task(make(params=params), ti_id=ti_id)
    lost.run() if read else lost.defer()
    api.made()[0]["status"] = status
    Task(make(), try_number=2).defer()
    assert len(api.pods) == 2


def test_a_finished_pod_of_an_earlier_try_stays_to_be_read(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [running(), ended(1, "boom")]
    with pytest.raises(AirflowException, match="boom"):
        Task(make()).run()
    Task(make(), try_number=2, ti_id="0190-2").defer()
    assert [pod["metadata"]["labels"]["tidegate.dev/try"] for pod in api.made()] == ["1", "2"]


def test_a_pod_of_a_deleted_run_of_the_same_name_is_not_taken_for_ours(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [ended(0, json.dumps({"summary": "old"}))]
    Task(make(), ti_id="of a run that was deleted").run()
    api.scripts["train_model"] = [ended(0, json.dumps({"summary": "new"}))]
    assert Task(make()).run()["return_value"] == {"summary": "new"}
    assert len(api.pods) == 1


def test_another_run_is_left_alone(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [running()]
    Task(make(), run_id="manual__1").defer()
    Task(make(), run_id="manual__2").defer()
    assert len(api.pods) == 2


def test_the_newest_finished_pods_are_kept_and_older_ones_tidied(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [ended(0)]
    for number in range(5):
        Task(make(), run_id=f"manual__{number}").run()
    kept = [pod["metadata"]["annotations"]["tidegate.dev/run-id"] for pod in api.made()]
    assert kept == ["manual__2", "manual__3", "manual__4"]


def test_a_finished_pod_that_nobody_read_yet_is_not_tidied_away(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [ended(0)]
    waiting_for_its_reader = Task(make(), run_id="slow").step.build(api.config_maps["tidegate-steps"], identity("slow"))
    api.add(waiting_for_its_reader, ended(0))
    for number in range(5):
        Task(make(), run_id=f"manual__{number}").run()
    assert waiting_for_its_reader["metadata"]["name"] in api.pods
    assert COLLECTED not in api.pods[waiting_for_its_reader["metadata"]["name"]]["metadata"]["labels"]


def test_a_finished_pod_that_nobody_came_for_in_a_day_is_tidied_away(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [ended(0)]
    lost, status = Task(make(), run_id="lost").step.build(api.config_maps["tidegate-steps"], identity("lost")), ended(1)
    status["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = "2026-01-01T00:00:00Z"
    api.add(lost, status)
    for number in range(3):
        Task(make(), run_id=f"manual__{number}").run()
    assert lost["metadata"]["name"] not in api.pods


def identity(run_id: str) -> Identity:
    return operator.identity_of(Task(make(), run_id=run_id).context)


def test_a_kill_on_the_worker_deletes_the_pod(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [running()]
    task = Task(make())
    task.defer()
    task.step.on_kill()
    assert api.pods == {}


def test_a_kill_after_the_end_leaves_the_pod_to_be_read(api: KubernetesApi) -> None:
    task = Task(make())
    task.defer()
    task.step.on_kill()
    assert len(api.pods) == 1


def test_a_kill_in_the_triggerer_deletes_the_pod(api: KubernetesApi) -> None:
    api.scripts["train_model"] = [running()]
    asyncio.run(Task(make()).defer().trigger.on_kill())
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
