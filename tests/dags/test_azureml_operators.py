"""The operators of Azure Machine Learning: what a DAG file says of them, and what reaches the step."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization
from airflow.task.trigger_rule import TriggerRule

from tests.dags.conftest import ROOT
from tidegate.airflow import azureml
from tidegate.airflow.azureml.links import STUDIO_URL, StudioLink
from tidegate.airflow.azureml.operator import specification, verbatim
from tidegate.airflow.local_pods import LocalPods
from tidegate.airflow.testing import run_step

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dags.conftest import Fork
    from tidegate.airflow.testing import StepRun

SECRET = "correct-horse-battery"
EXTRA = {"tenantId": "t", "subscriptionId": "s", "resource_group_name": "g", "workspace_name": "w"}
AML = {"conn_type": "azure_machine_learning", "login": "app", "password": SECRET, "extra": json.dumps(EXTRA)}
ECHO = """
import json, os, sys
print('TIDEGATE_VALUE ' + json.dumps({"name": "studio_url", "value": "https://ml/runs/x"}), flush=True)
told = {name: value for name, value in os.environ.items() if name.startswith("AZURE_ML_") and "SECRET" not in name}
value = {"name": "x", "id": "azureml:x:1", "params": json.loads(os.environ["TIDEGATE_PARAMS"]), "told": told,
         "secret": len(os.environ.get("AZURE_ML_CLIENT_SECRET", ""))}
open(os.environ["TIDEGATE_RESULT"], "w").write(json.dumps({"value": value}))
"""


class Cluster:
    """Processes for pods, and every pod that was made."""

    def __init__(self, code: str = ECHO) -> None:
        entry = json.dumps({"image": "x", "resources": {"limits": {"memory": "1Mi"}}, "cancel_notice": True})
        config = {"_platform": json.dumps({"store_root": "s3://b"}), "azure_ml": entry}
        self.pods = LocalPods(config=config, commands={"azure_ml": [sys.executable, "-c", code]})

    def run(self, task: Any, **options: Any) -> StepRun:
        async def connect() -> LocalPods:
            return self.pods

        other = {**AML, "extra": json.dumps({**EXTRA, "workspace_name": "other"})}
        return run_step(task, connect=connect, connections={"one": AML, "two": other}, **options)


def made(operator: Any, **arguments: Any) -> Any:
    with DAG("d", schedule=None):
        return operator(task_id="t", **{"conn_id": "one", **arguments})


SPEC = {"name": "x"}
ACTIONS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("CreateJob", {"job": SPEC}, {"action": "job submit", "waiting": False}),
    ("CreateJob", {"job": SPEC, "waiting": True, "run_timeout": 9}, {"waiting": True, "run_timeout": 9}),
    ("CreateJob", {"job": SPEC, "waiting": True, "download": "logs"}, {"download": "logs"}),
    ("WaitForJob", {"name": "j"}, {"action": "job wait", "name": "j"}),
    ("WaitForJob", {"name": "j", "download": "all"}, {"download": "all"}),
    ("CancelJob", {"name": "j"}, {"action": "job cancel", "name": "j", "waiting": True}),
    ("CreateComputeResource", {"compute": SPEC}, {"action": "compute ensure", "waiting": True}),
    ("DeleteComputeResource", {"compute_name": "c"}, {"action": "compute delete", "name": "c", "missing_ok": False}),
    ("StartComputeResource", {"compute_name": "c"}, {"action": "compute start", "name": "c"}),
    ("StopComputeResource", {"compute_name": "c"}, {"action": "compute stop", "name": "c"}),
    ("CreateEnvironment", {"environment": SPEC}, {"action": "environment", "spec": '{"name": "x"}'}),
    ("CreateData", {"data_asset": SPEC}, {"action": "data"}),
    ("RegisterModel", {"model": SPEC}, {"action": "model"}),
    ("LoadAndRegisterComponent", {"source": "c.yml", "files": {"c.yml": "name: c"}},
     {"action": "component", "spec": "name: c"}),
    ("CreateEndpoint", {"endpoint": SPEC, "endpoint_type": "batch"},
     {"action": "endpoint ensure", "endpoint_type": "batch", "waiting": False}),
    ("DeleteEndpoint", {"endpoint_name": "e", "endpoint_type": "online"},
     {"action": "endpoint delete", "name": "e", "waiting": False, "missing_ok": False}),
    ("DeployEndpoint", {"deployment": SPEC, "waiting": True, "traffic": {"blue": 100}},
     {"action": "deploy", "traffic": {"blue": 100}}),
    ("DeployEndpoint", {"deployment": SPEC, "waiting": True, "default": True}, {"default": True}),
    ("InvokeEndpoint", {"endpoint_name": "e", "endpoint_type": "online", "request": {"data": [1]}},
     {"action": "endpoint invoke", "request": '{"data": [1]}'}),
    ("InvokeEndpoint", {"endpoint_name": "e", "endpoint_type": "batch", "request_input": {"rows": {}}},
     {"request_input": {"rows": {}}}),
    ("Ping", {}, {"action": "ping"}),
    ("Ping", {"requirements": ["azure-ai-ml==1.35.1"]}, {"action": "ping", "requirements": ["azure-ai-ml==1.35.1"]}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "wanted"), ACTIONS)
def test_what_an_operator_asks_of_the_step(name: str, arguments: dict[str, Any], wanted: dict[str, Any]) -> None:
    task = made(getattr(azureml, f"AzureMachineLearning{name}Operator"), **arguments)
    assert wanted.items() <= task.step_params.items()
    assert None not in task.step_params.values(), "what was not given is not sent"


def test_every_operator_is_tried() -> None:
    names = {name.removeprefix("AzureMachineLearning").removesuffix("Operator") for name in azureml.__all__}
    assert names - {"beside"} == {name for name, _, _ in ACTIONS}


def test_no_operator_needs_a_worker() -> None:
    tasks = [made(getattr(azureml, f"AzureMachineLearning{name}Operator"), **given) for name, given, _ in ACTIONS]
    assert {str(task.path) for task in tasks} == {"workerless"}


PARSED = """
import runpy, sys

class NotInTheImage:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("azure.ai", "msal")):
            raise ModuleNotFoundError(f"{name} is not in Airflow's image")

sys.meta_path.insert(0, NotInTheImage())
import airflow.sdk, tidegate.airflow.step_operator
def memory():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
before = memory()
for file in sys.argv[1:]:
    runpy.run_path(file)
print(memory() - before, *sys.modules)
"""
"""What a DAG processor does with each file, where the SDK of Azure Machine Learning is not installed."""
MOST_KIB = 40 * 1024
"""That all twelve may add to such a process; the SDK alone took 105 MiB."""


def test_the_examples_are_parsed_without_the_sdk_and_cost_a_fraction_of_it(fork: Fork) -> None:
    files = sorted(str(path) for path in (ROOT / "dags/azureml").glob("*.py"))
    assert len(files) == 12
    done = fork(PARSED, *files)
    assert done.returncode == 0, done.stderr[-2000:]
    added, *loaded = done.stdout.splitlines()[-1].split()
    assert "tidegate.airflow.azureml.jobs" in loaded
    assert [name for name in loaded if name.startswith(("azure.", "msal", "tidegate.ledger", "tidegate.step."))] == []
    assert int(added) < MOST_KIB


def test_airflows_image_has_no_sdk_of_azure_ml() -> None:
    """What is installed in it are these requirements, exactly: see tests/images."""
    text = (ROOT / "images/airflow/requirements.txt").read_text()
    pinned = {line.partition("==")[0] for line in text.splitlines() if "==" in line}
    assert "azure-identity" in pinned, "the Test button signs in"
    assert "azure-ai-ml" not in pinned


def test_the_triggerer_reads_a_connection_without_any_operator() -> None:
    code = "import sys, tidegate.airflow.azureml.connection; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "tidegate.airflow.step_operator" not in done.stdout.split()


def test_an_object_of_the_sdk_is_refused_with_what_to_write() -> None:
    with pytest.raises(TypeError, match="write the SDK's YAML, as text or as a dict"):
        made(azureml.AzureMachineLearningCreateJobOperator, job=object())


def test_airflows_templates_are_rendered_and_azures_left_alone() -> None:
    task = made(
        azureml.AzureMachineLearningCreateJobOperator,
        job={"command": "run ${{inputs.rows}} $[[--day ${{inputs.day}}]]", "display_name": "of {{ ds }}"},
        set={"inputs.rounds": "{{ params.rounds }}"},
    )
    task.dag.params["rounds"] = 7
    params = Cluster().run(task).values["return_value"]["params"]
    spec = json.loads(params["spec"])
    assert spec == {"command": "run ${{inputs.rows}} $[[--day ${{inputs.day}}]]", "display_name": "of 2026-01-01"}
    assert params["set"] == {"inputs.rounds": 7}, "a number stays one"


def test_another_tasks_result_reaches_a_specification() -> None:
    with DAG("d", schedule=None) as dag:
        train = azureml.AzureMachineLearningCreateJobOperator(task_id="train", job=SPEC, conn_id="one")
        azureml.AzureMachineLearningRegisterModelOperator(
            task_id="register", model=SPEC, conn_id="one", set={"path": train.output["id"]}
        )
    assert dag.get_task("register").upstream_task_ids == {"train"}
    found = Cluster().run(dag.get_task("register"), xcoms={"train": {"id": "azureml:x:1"}})
    assert found.values["return_value"]["params"]["set"] == {"path": "azureml:x:1"}


def test_files_arrive_as_they_are() -> None:
    text = "print(f'{{{1}}}')  # {% not a template %}"
    assert verbatim({"a.py": "x = 1", "b.py": text}) == {
        "a.py": "x = 1",
        "b.py": {"base64": base64.b64encode(text.encode()).decode()},
    }


def test_files_beside_a_dag_are_read_by_their_paths(tmp_path: Path) -> None:
    (tmp_path / "assets/src").mkdir(parents=True)
    (tmp_path / "assets/src/main.py").write_text("x = 1")
    assert azureml.beside(str(tmp_path / "dag.py"), "assets") == {"src/main.py": "x = 1"}
    with pytest.raises(FileNotFoundError, match="there are no files in"):
        azureml.beside(str(tmp_path / "dag.py"), "nothing")


def test_more_than_a_variable_holds_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(ValueError, match="use `code` for files"):
        made(azureml.AzureMachineLearningCreateJobOperator, job=SPEC, files={"big": "x" * 100_001})


def test_a_folder_in_a_store_is_handed_on() -> None:
    task = made(azureml.AzureMachineLearningCreateJobOperator, job=SPEC, code="code/iris/")
    assert task.inputs == {"code": "code/iris/"}


def test_an_unknown_kind_of_endpoint_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(ValueError, match="want online or batch"):
        made(azureml.AzureMachineLearningDeleteEndpointOperator, endpoint_name="e", endpoint_type="both")


def test_traffic_without_waiting_is_refused() -> None:
    with pytest.raises(ValueError, match="want waiting=True"):
        made(azureml.AzureMachineLearningDeployEndpointOperator, deployment=SPEC, traffic={"blue": 100})


def test_what_a_job_left_is_kept_by_who_waits_for_it() -> None:
    with pytest.raises(ValueError, match="want waiting=True"):
        made(azureml.AzureMachineLearningCreateJobOperator, job=SPEC, download="logs")


def test_a_component_comes_from_its_files() -> None:
    with pytest.raises(ValueError, match="is one of `files`"):
        made(azureml.AzureMachineLearningLoadAndRegisterComponentOperator, source="missing.yml")


def test_the_link_is_there_before_the_end_and_after_a_failure() -> None:
    failing = ECHO.replace("value = {", "sys.exit(1)\nvalue = {")
    found = Cluster(failing).run(made(azureml.AzureMachineLearningPingOperator))
    assert (found.state, found.values["studio_url"]) == ("failed", "https://ml/runs/x")


def test_the_link_reaches_the_ui_without_a_worker() -> None:
    """The UI reads the XCom that the serialised DAG names; Airflow needs no class of ours for it."""
    task = made(azureml.AzureMachineLearningPingOperator)
    (encoded,) = DagSerialization.to_dict(task.dag)["dag"]["tasks"]
    assert encoded["__var"]["_operator_extra_links"] == {"Azure Machine Learning Studio": STUDIO_URL}
    assert StudioLink().xcom_key == STUDIO_URL
    restored = DagSerialization.from_dict(DagSerialization.to_dict(task.dag)).get_task("t")
    assert list(restored.extra_links) == ["Azure Machine Learning Studio"]
    assert (task.ui_color, task.ui_fgcolor) == ("#ffffff", "#0078d4")


def test_each_task_has_the_workspace_of_its_own_connection() -> None:
    with DAG("d", schedule=None) as dag:
        for name in ("one", "two"):
            azureml.AzureMachineLearningPingOperator(task_id=name, conn_id=name)
    told = {name: Cluster().run(dag.get_task(name)).values["return_value"]["told"] for name in ("one", "two")}
    assert {name: one["AZURE_ML_WORKSPACE"] for name, one in told.items()} == {"one": "w", "two": "other"}


def test_the_secret_reaches_the_program_and_nothing_else() -> None:
    cluster = Cluster()
    task = made(azureml.AzureMachineLearningPingOperator)
    found = cluster.run(task)
    assert found.values["return_value"]["secret"] == len(SECRET)
    shown = [json.dumps(list(cluster.pods.pods.values())), "\n".join(found.log), json.dumps(dict(found.values))]
    shown.append(json.dumps(DagSerialization.to_dict(task.dag)))
    assert [text for text in shown if SECRET in text] == []
    assert cluster.pods.made == {}


def test_a_default_connection_may_stand_in_default_args() -> None:
    with DAG("d", schedule=None, default_args={"conn_id": "one"}):
        task = azureml.AzureMachineLearningPingOperator(task_id="t")
    assert task.credentials == "one"


def test_a_cluster_is_deleted_also_after_a_failure() -> None:
    with DAG("d", schedule=None, default_args={"conn_id": "one"}):
        create = azureml.AzureMachineLearningCreateComputeResourceOperator(task_id="create", compute=SPEC)
        run = azureml.AzureMachineLearningCreateJobOperator(task_id="run", job=SPEC)
        delete = azureml.AzureMachineLearningDeleteComputeResourceOperator(task_id="delete", compute_name="x")
        create >> run >> delete.as_teardown(setups=create)
    assert (create.is_setup, delete.is_teardown) == (True, True)
    assert delete.trigger_rule == TriggerRule.ALL_DONE_SETUP_SUCCESS
    assert delete.path == run.path, "a teardown needs no worker either"


def test_text_is_taken_as_yaml() -> None:
    assert specification("name: x\ncommand: ${{inputs.a}}", what="job") == "name: x\ncommand: {{ '${{' }}inputs.a}}"
