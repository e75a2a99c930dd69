"""What a pod is given of an Airflow connection: where it goes, where it never shows, and when it is gone."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, Connection
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse, GetConnection

from tests.steps.scene import RUN, Scene, play
from tidegate.airflow import credentials
from tidegate.airflow.credentials import Credentials, generic
from tidegate.airflow.failures import Kind, Then
from tidegate.airflow.kube_errors import error_of
from tidegate.airflow.local_pods import LocalPods
from tidegate.airflow.reconcile import reconcile
from tidegate.airflow.spec import SpecError
from tidegate.airflow.steps import step
from tidegate.airflow.testing import FakeAirflow, StepRun, run_step

if TYPE_CHECKING:
    from tidegate.airflow.launch import Launch

PASSWORD = "correct-horse-battery"
CONNECTION = {"conn_type": "postgres", "host": "db", "login": "reader", "password": PASSWORD, "schema": "sales"}
SHOW = """
import json, os
open(os.environ['TIDEGATE_RESULT'], 'w').write(json.dumps({'value': {
    'length': len(os.environ.get('CONNECTION_PASSWORD', '')), 'host': os.environ.get('CONNECTION_HOST'),
    'uri': os.environ.get('CONNECTION_URI', '').partition(':')[0]}}))
"""
GIVEN = Credentials(connection="db", plain={"CONNECTION_HOST": "db"}, secret={"CONNECTION_PASSWORD": PASSWORD})


class Cluster:
    """Processes for pods, with everything that was asked of them."""

    def __init__(self, code: str = SHOW) -> None:
        entry = json.dumps({"image": "x", "resources": {"limits": {"memory": "1Mi"}}})
        config = {"_platform": json.dumps({"store_root": "s3://b"}), "work": entry}
        self.pods = LocalPods(config=config, commands={"work": [sys.executable, "-c", code]})
        self.created: list[Any] = []
        create, secret = self.pods.create, self.pods.create_secret

        async def keep_pod(pod: dict[str, Any]) -> dict[str, Any]:
            self.created.append(json.loads(json.dumps(pod)))
            return await create(pod)

        async def keep_secret(made: dict[str, Any]) -> None:
            self.created.append(made)
            await secret(made)

        self.pods.create, self.pods.create_secret = keep_pod, keep_secret  # type: ignore[method-assign]

    def run(self, conn: dict[str, Any] | None = None, **options: Any) -> StepRun:
        async def connect() -> LocalPods:
            return self.pods

        with DAG("d", schedule=None) as dag:
            step("work", credentials="db", **options)
        given = {"db": CONNECTION if conn is None else conn}
        return run_step(dag.get_task("work"), connect=connect, connections=given)


def test_a_pod_has_what_the_connection_says() -> None:
    found = Cluster().run()
    assert found.values["return_value"] == {"length": len(PASSWORD), "host": "db", "uri": "postgres"}


def test_the_secret_shows_nowhere_but_in_the_secret() -> None:
    cluster = Cluster()
    found = cluster.run()
    pod, secret = cluster.created
    assert secret["kind"] == "Secret"
    assert PASSWORD not in json.dumps(pod)
    assert PASSWORD not in "\n".join(found.log)
    assert PASSWORD not in json.dumps(dict(found.values))
    assert PASSWORD not in repr(GIVEN)


def test_the_secret_is_its_pods_and_gone_when_the_pod_has_ended() -> None:
    cluster = Cluster()
    cluster.run()
    pod, secret = cluster.created
    (owner,) = secret["metadata"]["ownerReferences"]
    made = cluster.pods.pods[pod["metadata"]["name"]]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Pod", made["metadata"]["name"], made["metadata"]["uid"])
    assert secret["immutable"]
    assert cluster.pods.made == {}, "the pod stays for its log, the Secret does not"
    assert credentials.SECRET not in made["metadata"]["annotations"]


def test_the_pod_is_made_first_and_waits_for_its_secret() -> None:
    cluster = Cluster()
    cluster.run()
    words = [request.partition(" ")[0] for request in cluster.pods.requests]
    words = [word for word in words if word not in {"list", "watch"}]
    assert words[:4] == ["config", "create", "make", "patch"]
    assert cluster.created[0]["spec"]["schedulingGates"] == [{"name": credentials.GATE}]


def test_a_secret_that_exists_is_used_instead_and_none_is_made() -> None:
    cluster = Cluster()
    cluster.pods.made["ours"] = {"CONNECTION_PASSWORD": "abc"}
    found = cluster.run({"conn_type": "postgres", "host": "db", "extra": '{"secret_name": "ours"}'})
    (pod,) = cluster.created
    assert "schedulingGates" not in pod["spec"]
    assert found.values["return_value"]["length"] == 3
    assert cluster.pods.made == {"ours": {"CONNECTION_PASSWORD": "abc"}}, "it is not ours to delete"


def test_a_connection_that_is_not_there_is_named_and_not_retried() -> None:
    with DAG("d", schedule=None) as dag:
        step("work", credentials="nowhere", retries=2)
    found = run_step(dag.get_task("work"), commands={"work": ["true"]})
    assert found.state == "failed_for_good"
    assert "there is no Airflow connection 'nowhere'" in found.values["failure"]["message"]


class Away(FakeAirflow):
    """Airflow, whose database is away for a moment."""

    faults = 2

    def send(self, message: Any) -> Any:
        if isinstance(message, GetConnection) and self.faults:
            self.faults -= 1
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={}))
        return super().send(message)


def test_an_airflow_that_is_away_is_not_a_connection_that_is_missing() -> None:
    comms = Away({}, connections={"db": CONNECTION})
    with comms.installed():
        assert asyncio.run(credentials.read("db")).secret["CONNECTION_PASSWORD"] == PASSWORD


def test_a_connection_may_not_set_the_step_contract() -> None:
    with pytest.raises(SpecError, match="TIDEGATE_RUN"):
        Credentials(connection="c", plain={"TIDEGATE_RUN": "{}"})


def test_a_connection_without_secrets_makes_none() -> None:
    found = generic(Connection(conn_id="open", conn_type="http", host="api"), uri="")
    assert found.plain == {"CONNECTION_ID": "open", "CONNECTION_TYPE": "http", "CONNECTION_HOST": "api"}


def launch(scene: Scene) -> Launch:
    made = scene.launch()
    made._order = replace(made._order, credentials=GIVEN)
    return made


def test_a_start_that_was_cut_short_before_the_secret_is_taken_up() -> None:
    """The triggerer died between the pod and its Secret: the next one finds the pod gated, and goes on."""
    scene = Scene()
    made = launch(scene)

    async def story() -> Any:
        await scene.pods.create(made._order.pod(0))
        return await made.run()

    play(scene, story)
    assert scene.lines == ["one"]
    assert len(scene.pods.pods) == 1
    assert scene.pods.made == {}


def test_a_start_that_was_cut_short_after_the_secret_is_taken_up() -> None:
    scene = Scene()
    made = launch(scene)

    async def story() -> Any:
        pod = await scene.pods.create(made._order.pod(0))
        await scene.pods.create_secret(credentials.secret_of(pod, GIVEN))
        return await made.run()

    play(scene, story)
    assert scene.lines == ["one"]
    assert scene.pods.made == {}


def test_a_role_without_the_right_is_told_and_leaves_no_pod() -> None:
    scene = Scene()

    async def refuse(_secret: dict[str, Any]) -> None:
        raise error_of(403, json.dumps({"reason": "Forbidden", "message": "secrets is forbidden"}))

    scene.pods.create_secret = refuse  # type: ignore[method-assign]
    failure = play(scene, lambda: launch(scene).run())
    assert (failure.kind, failure.then) == (Kind.NOT_CONFIGURED, Then.STOP)
    assert "refused the Secret for the pod" in failure.message
    assert scene.pods.pods == {}


def test_a_deleted_pod_takes_its_secret_along() -> None:
    scene = Scene("import time; time.sleep(60)")

    async def story() -> None:
        running = asyncio.create_task(launch(scene).run())
        name = await scene.pod()
        while not scene.pods.made or scene.pods.pods[name]["status"]["phase"] != "Running":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await scene.pods.delete(name)
        while scene.pods.pods:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait({running})

    play(scene, story)
    assert scene.pods.made == {}


def test_reconcile_deletes_the_secret_that_a_dead_triggerer_left_with_a_finished_pod() -> None:
    scene = Scene()
    made = launch(scene)

    async def story() -> None:
        pod = await scene.pods.create(made._order.pod(0))
        await credentials.furnish(scene.pods, pod, GIVEN)
        while scene.pods.pods[pod["metadata"]["name"]]["status"]["phase"] != "Succeeded":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert len(scene.pods.made) == 1
        await reconcile(scene.pods, lambda _: {"ti-1": "running"})
        assert len(scene.pods.made) == 1, "its try may still be ended by another triggerer"
        await reconcile(scene.pods, lambda _: {"ti-1": "success"})

    play(scene, story)
    assert scene.pods.made == {}
    assert len(scene.pods.pods) == 1, "the pod stays for its log"


def test_another_run_of_the_same_name_has_another_secret() -> None:
    scene = Scene()
    first = launch(scene)._order
    other = replace(first, run=replace(RUN, ti_id="ti-2"))
    names = [credentials.secret_name(order.pod(0)) for order in (first, other, first)]
    assert names[0] == names[2] != names[1]
