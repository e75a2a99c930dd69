"""The twelve example pipelines: every task by the real trigger, the real step and the real SDK, to the stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import BaseHook, Connection
from airflow.serialization.serialized_objects import DagSerialization

from tests.dags.azureml_parity import DAGS
from tests.dags.conftest import ROOT
from tests.jobs.azure_ml.fake import SUBSCRIPTION, Fake, azure_ml_api
from tests.jobs.azure_ml.wheels import index, wheel
from tests.jobs.entra import CLIENT, TENANT
from tidegate.airflow.azureml.hook import AzureMachineLearningHook
from tidegate.airflow.azureml.operator import AzureMachineLearningOperator
from tidegate.airflow.local_pods import LocalPods
from tidegate.airflow.testing import run_step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import DAG

    from tidegate.airflow.testing import StepRun

SECOND = "00000000-0000-0000-0000-00000000bbbb"
WARM = Path(__file__).with_name("warm_steps.py")


@pytest.fixture(scope="module")
def dags(database: None) -> dict[str, DAG]:
    folder = ROOT / "dags" / "azureml"
    bag = BundleDagBag(bundle_path=folder, dag_folder=str(folder), bundle_name="dags")
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fake]:
    with azure_ml_api(tmp_path_factory.mktemp("azure_ml_api")) as fake:
        yield fake


@pytest.fixture
def fake(server: Fake) -> Iterator[Fake]:
    server.forget()
    yield server
    server.forget()


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a process that runs steps."""
    path = str(tmp_path_factory.mktemp("warm") / "socket")
    hosts = ROOT / "tests/jobs/azure_ml/hosts"
    environment = {**os.environ, "PYTHONPATH": f"{hosts}:{ROOT}"}
    command = [sys.executable, str(WARM), "serve", path]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield path
        finally:
            process.kill()


class Stage:
    """Runs tasks of one DAG run, each with what the ones before it left."""

    def __init__(self, fake: Fake, warm: str, folder: Path, packages: Mapping[str, str], **entry: Any) -> None:
        spec = {
            "image": "x",
            "resources": {"limits": {"memory": "1Mi"}},
            "cancel_notice": True,
            "env": {"AZURE_ML_POLL_SECONDS": "0.05", "AZURE_ML_SHOW_LOGS": "false", **packages},
            **entry,
        }
        self.config = {"_platform": json.dumps({"store_root": folder.as_uri()}), "azure_ml": json.dumps(spec)}
        self.command = [sys.executable, "-S", str(WARM), "ask", warm, "azure_ml"]
        self.fake = fake
        self.pods: list[dict[str, Any]] = []
        self.secrets: list[str] = []
        self.xcoms: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, StepRun] = {}

    def connection(self, subscription: str = SUBSCRIPTION, **changes: Any) -> dict[str, Any]:
        extra = {"tenantId": TENANT, "subscriptionId": subscription, "resource_group_name": "rg"}
        extra |= {"workspace_name": "ws", "resource_manager": self.fake.url, "ca": self.fake.ca}
        given = {"login": CLIENT, "password": self.fake.secret, "extra": json.dumps(extra)}
        return {"conn_type": "azure_machine_learning", **given, **changes}

    def run(self, task: Any, **options: Any) -> StepRun:
        pods = LocalPods(config=self.config, commands={"azure_ml": self.command})

        async def connect() -> LocalPods:
            return pods

        connections = {"AML_TEST_CONNECTION": self.connection(), "AML_2ND_SUB": self.connection(SECOND)}
        found = run_step(task, connect=connect, **{"connections": connections, "xcoms": self.xcoms, **options})
        self.pods += pods.pods.values()
        self.secrets += pods.made
        self.xcoms[task.task_id] = dict(found.values)
        self.runs[task.task_id] = found
        return found

    def run_all(self, dag: DAG) -> None:
        """Every task, in an order that the DAG allows."""
        done: set[str] = set()
        while left := [task for task in dag.tasks if task.task_id not in done]:
            for task in left:
                if task.upstream_task_ids <= done:
                    if isinstance(task, AzureMachineLearningOperator):
                        found = self.run(task)
                        assert found.state == "success", (task.task_id, found.log[-15:])
                    done.add(task.task_id)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory, dags: dict[str, DAG]) -> dict[str, str]:
    """What makes pip find the packages that tasks ask for; each changes a version and nothing else."""
    folder = tmp_path_factory.mktemp("wheels")
    for pin in {pin for dag in dags.values() for task in dag.tasks for pin in pins(task)}:
        wheel(folder, pin)
    return index(folder)


def pins(task: Any) -> list[str]:
    """The packages that a task has in versions of its own."""
    return list(getattr(task, "step_params", {}).get("requirements", ()))


@pytest.fixture
def stage(fake: Fake, warm: str, tmp_path: Path, packages: dict[str, str]) -> Stage:
    return Stage(fake, warm, tmp_path, packages)


def test_there_are_twelve_by_their_original_ids_paused_until_somebody_wants_them(dags: dict[str, DAG]) -> None:
    assert sorted(dags) == sorted(DAGS)
    for dag in dags.values():
        assert dag.is_paused_upon_creation is True
        assert dag.tags == {"AML"}
        assert DagSerialization.to_dict(dag)


@pytest.mark.parametrize("dag_id", DAGS)
def test_a_pipeline_runs_to_its_end(dag_id: str, dags: dict[str, DAG], stage: Stage) -> None:
    stage.run_all(dags[dag_id])
    workspaces = {SUBSCRIPTION, SECOND} if dag_id == "AML_Pipeline_2Subs" else {SUBSCRIPTION}
    made = stage.fake.asked("PUT", "/subscriptions/") + stage.fake.asked("POST", "/subscriptions/")
    assert {path.partition("/subscriptions/")[2].split("/")[0] for path in made} == workspaces
    for task in dags[dag_id].tasks:
        if pinned := pins(task):
            versions = dict(pin.split("==") for pin in pinned)
            assert stage.xcoms[task.task_id]["return_value"]["versions"] == versions
    shown = json.dumps([[dict(run.values), list(run.log)] for run in stage.runs.values()])
    assert stage.fake.secret not in shown
    assert stage.fake.secret not in json.dumps(stage.pods)
    assert stage.secrets == [], "no Secret is left"


def test_a_second_try_makes_no_second_job(dags: dict[str, DAG], stage: Stage) -> None:
    task = dags["AML_CommandJob"].get_task("diabetes")
    first, second = stage.run(task), stage.run(task, try_number=2)
    assert first.values["return_value"]["name"] == second.values["return_value"]["name"]
    assert len(stage.fake.asked("PUT", "/jobs/")) == 1


def test_the_test_button_reads_the_workspace(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = stage.connection()
    extra = json.loads(fields["extra"]) | {"authority": stage.fake.url}
    given = Connection(conn_id="AML", **{**fields, "extra": json.dumps(extra)})
    monkeypatch.setattr(BaseHook, "get_connection", lambda *_: given)
    assert AzureMachineLearningHook("AML").test_connection()[0]
    given.password = "wrong"
    done, said = AzureMachineLearningHook("AML").test_connection()
    assert (done, said.startswith("cannot sign in: ")) == (False, True)
    assert "wrong" not in said
