"""Environments, data, models and components: their versions are told, and a second execution makes no second one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.jobs.azure_ml.specs import CONDA, DATA, ENVIRONMENT, FILES, MODEL, TRAIN
from tidegate.step import AccessDenied, StepError, TryAgain

if TYPE_CHECKING:
    from tests.jobs.azure_ml.conftest import Step
    from tests.jobs.azure_ml.fake import Fake

ASSETS = {
    "environment": (ENVIRONMENT, CONDA),
    "data": (DATA, {"data/today.csv": "1\n"}),
    "model": (MODEL, {"model.pkl": {"base64": "AAEC"}}),
    "component": (TRAIN, FILES),
}


@pytest.mark.parametrize("kind", ASSETS)
def test_name_version_and_page_are_handed_on(fake: Fake, step: Step, kind: str) -> None:
    spec, files = ASSETS[kind]
    value = step.value(kind, spec=spec, files=files)
    assert (value["version"], value["created"]) == ("1", True)
    assert value["id"].endswith(f"/{value['name']}/versions/1")
    assert value["name"] in value["studio_url"]
    assert value["studio_url"].startswith(fake.url)


@pytest.mark.parametrize("kind", ASSETS)
def test_two_executions_of_a_run_make_one_version(fake: Fake, step: Step, kind: str) -> None:
    spec, files = ASSETS[kind]
    first, second = (step.value(kind, spec=spec, files=files) for _ in range(2))
    assert second == {**first, "created": False}
    versions = "/data/" if kind == "data" else f"/{kind}s/"
    assert len(fake.asked("PUT", versions)) == 1


@pytest.mark.parametrize("kind", ["data", "model"])
def test_another_run_makes_another_version(step: Step, kind: str) -> None:
    spec, files = ASSETS[kind]
    found = [step.value(kind, spec=spec, files=files, run={"run_id": name})["version"] for name in ("a", "b", "b")]
    assert found == ["1", "2", "2"]


@pytest.mark.parametrize("kind", ["environment", "data", "model"])
def test_a_version_that_is_named_is_that_one(step: Step, kind: str) -> None:
    spec, files = ASSETS[kind]
    value = step.value(kind, spec=spec, files=files, set={"version": "1.1"})
    assert value["version"] == "1.1"
    assert step.value(kind, spec=spec, files=files, set={"version": "1.1"})["version"] == "1.1"


def test_local_files_are_uploaded_and_their_path_handed_on(fake: Fake, step: Step) -> None:
    path = step.value("data", spec=DATA, files={"data/today.csv": "1\n", "data/more/b.csv": "2\n"})["path"]
    assert path.startswith("azureml://datastores/workspaceblobstore/paths/LocalUpload/")
    uploaded = {line.rpartition("/data/")[2] for line in fake.asked("PUT", "/azureml/localupload/")}
    assert {"today.csv", "more/b.csv"} <= {name for name in uploaded if name}


def test_a_model_of_a_jobs_outputs_needs_no_upload(fake: Fake, step: Step) -> None:
    path = "azureml://jobs/iris-1/outputs/artifacts/paths/model/"
    value = step.value("model", spec=f"name: iris\ntype: mlflow_model\npath: {path}\n")
    assert (value["version"], value["path"]) == ("1", path)
    assert fake.asked("PUT", "localupload") == []


def test_a_named_version_with_other_content_is_refused(step: Step) -> None:
    pinned: dict[str, Any] = {"set": {"version": "7"}}
    step("data", spec=DATA, files={"data/a.csv": "1\n"}, **pinned)
    with pytest.raises(StepError, match="registering data weather"):
        step("data", spec=DATA, files={"data/a.csv": "2\n"}, **pinned)


@pytest.mark.parametrize(("status", "kind"), [(401, AccessDenied), (403, AccessDenied), (500, TryAgain)])
def test_a_component_is_not_created_because_it_cannot_be_seen(
    fake: Fake, step: Step, status: int, kind: type[StepError]
) -> None:
    fake.admin.tell("GET", "status", match="/components/", times=20, status=status)
    with pytest.raises(kind, match=f"component train:1: .*{status}"):
        step("component", spec=TRAIN, files=FILES)
    assert fake.asked("PUT", "/components/") == []
