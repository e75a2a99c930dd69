"""What is refused before Azure is asked, and how a specification and its files are laid out."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from jobs.azure_ml import actions, names
from jobs.azure_ml.documents import overridden, parsed
from tests.jobs.azure_ml.specs import COMMAND, DATA
from tests.jobs.servers import ROOT
from tidegate.step import BadInput, BadSettings, Run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.azure_ml.conftest import Step
    from tests.jobs.azure_ml.fake import Fake


@pytest.mark.parametrize(
    ("action", "params", "said"),
    [
        ("job submit", {}, "$TIDEGATE_PARAMS.spec is not set; `job submit` wants it"),
        ("compute delete", {"missing_ok": True}, "$TIDEGATE_PARAMS.name is not set"),
        ("ping", {"name": "x"}, "$TIDEGATE_PARAMS.name is not of `ping`, which has none"),
        ("compute stop", {"name": "x", "spec": "y"}, "$TIDEGATE_PARAMS.spec is not of `compute stop`"),
        ("environment", {"spec": "x: 1", "traffic": {"a": 1}}, "$TIDEGATE_PARAMS.traffic is not of `environment`"),
    ],
)
def test_parameters_that_are_missing_or_not_of_the_action_are_named(
    fake: Fake, step: Step, action: str, params: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadSettings, match=re.escape(said)):
        step(action, **params)
    assert fake.asked() == []


def test_an_unknown_action_lists_all_there_are(step: Step) -> None:
    with pytest.raises(BadSettings) as caught:
        step("job sumbit")
    assert all(action in str(caught.value) for action in actions.ACTIONS)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("type: [", "is no YAML"),
        ("- a\n", "is no YAML object"),
        ("type: command\nunknown_field: 1\n", "spec"),
        ("type: rocket\n", "spec"),
    ],
)
def test_a_bad_specification_is_bad_input_with_what_the_sdk_says(step: Step, spec: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        step("job submit", spec=spec)


def test_values_are_laid_over_a_specification_and_keep_their_types() -> None:
    document = parsed("inputs: {rate: 0.1}\ncompute: azureml:cpu\n")
    found = overridden(document, {"inputs.rate": 0.9, "compute": "azureml:gpu", "tags.run": 7})
    assert found == {"inputs": {"rate": 0.9}, "compute": "azureml:gpu", "tags": {"run": 7}}
    assert document == {"inputs": {"rate": 0.1}, "compute": "azureml:cpu"}
    with pytest.raises(BadInput, match="'compute' of the specification is no object"):
        overridden(document, {"compute.size": 1})


@pytest.mark.parametrize("path", ["../x", "/etc/x", "spec.yml", "a/../../x", ""])
def test_a_file_goes_nowhere_but_below_the_specification(step: Step, path: str) -> None:
    with pytest.raises(BadInput, match="is no path of a file"):
        step("job submit", spec=COMMAND, files={path: "x"})


@pytest.mark.parametrize("content", [1, {"base64": "?"}, {"text": "x"}, None])
def test_a_file_is_text_or_base64(step: Step, content: Any) -> None:
    with pytest.raises(BadInput, match="base64"):
        step("job submit", spec=COMMAND, files={"a": content})


@pytest.mark.parametrize("kind", ["folder", "zip", "tar.gz"])
def test_code_comes_from_a_store_as_a_folder_or_an_archive(fake: Fake, step: Step, tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    (source / "data").mkdir(parents=True)
    (source / "data" / "a.csv").write_text(f"{kind}\n")
    if kind == "folder":
        url = f"{source.as_uri()}/"
    else:
        file = tmp_path / f"code.{kind}"
        file.write_bytes(packed(kind))
        url = file.as_uri()
    step("data", spec=DATA, code=url)
    assert [line for line in fake.asked("PUT", "/localupload/") if line.endswith("/data/a.csv")]


def packed(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("data/a.csv", f"{kind}\n")
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            entry = tarfile.TarInfo("data/a.csv")
            entry.size = len(kind)
            archive.addfile(entry, io.BytesIO(kind.encode()))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [("code.zip", b"x", "cannot be unpacked"), ("code.txt", b"x", "it is no archive"), ("", b"", "nothing below it")],
)
def test_code_that_is_no_archive_or_not_there_is_bad_input(
    step: Step, tmp_path: Path, name: str, body: bytes, said: str
) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    if name:
        (folder / name).write_bytes(body)
    with pytest.raises(BadInput, match=said):
        step("data", spec=DATA, code=f"{folder.as_uri()}/{name}")


@pytest.mark.parametrize("task", ["iris", "Iris Training_1", "x" * 200, "ä", "a.b-c"])
def test_a_jobs_name_is_one_that_azure_takes(task: str) -> None:
    name = names.job_name(Run(dag_id="d", run_id="r", task_id=task), attempt=12)
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}", name)
    assert name.endswith("-12")


def test_help_names_every_action_and_no_sdk_is_loaded_for_it() -> None:
    program = "import sys; from jobs.azure_ml.__main__ import main; main(['--help'])"
    check = "import sys, jobs.azure_ml; sys.exit('azure.ai.ml' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(action in done.stdout for action in actions.ACTIONS)
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False).returncode == 0
