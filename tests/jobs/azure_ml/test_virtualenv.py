"""A task with other versions of packages than its image: made by the real pip from a folder of wheels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from jobs.azure_ml import virtualenv
from tests.jobs.azure_ml.conftest import MOST_SECONDS
from tests.jobs.azure_ml.wheels import index, wheel
from tests.jobs.servers import ROOT
from tidegate.step import BadInput, TryAgain

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.azure_ml.conftest import Step
    from tests.jobs.azure_ml.fake import Fake

PINS = ["azure-ai-ml==1.34.9", "azure-storage-blob==12.30.9"]


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, value in index(folder).items():
        monkeypatch.setenv(name, value)
    return folder


def test_what_is_pinned_goes_before_the_images_packages_and_all_else_is_the_images(
    wheels: Path, tmp_path: Path
) -> None:
    wheel(wheels, "tidegate-other==2.0", {"yaml.py": "source = 'pinned'\n"})
    python = virtualenv.made(["tidegate-other==2.0"], tmp_path / "venv", seconds=60)
    code = "import yaml, marshmallow, tidegate.step, jobs; print(yaml.source)"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "pinned\n", done.stderr


def test_a_step_begins_anew_in_it_with_its_signals_its_secret_and_its_result(
    fake: Fake, step: Step, wheels: Path, tmp_path: Path
) -> None:
    for pin in PINS:
        wheel(wheels, pin)
    environ = step.environment({"action": "ping", "requirements": PINS}, run={}, more=index(wheels))
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs", "azure_ml"],
        env={**environ, "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out, error = process.communicate(timeout=MOST_SECONDS - 10)
    assert process.returncode == 0, error
    assert fake.secret not in out + error
    value = json.loads((step.folder / "result.json").read_text())["value"]
    assert value["versions"] == {"azure-ai-ml": "1.34.9", "azure-storage-blob": "12.30.9"}
    assert (value["workspace"], value["signed_in_by"]) == ("ws", "client_secret")


def test_pip_sees_no_secret_of_the_step(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a pip that tells what it sees."""
    (tmp_path / "pip.py").write_text("import os, sys; sys.stderr.write(' '.join(os.environ)); sys.exit(1)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AZURE_ML_CLIENT_SECRET", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with pytest.raises(TryAgain, match="PIP_FIND_LINKS") as caught:
        virtualenv.made(["a==1"], tmp_path / "venv", seconds=60)
    assert wheels.exists()
    assert [word for word in ("AZURE_ML", "AWS_", "TIDEGATE") if word in str(caught.value)] == []


@pytest.mark.parametrize(
    "requirement",
    ["azure-ai-ml", "azure-ai-ml>=1", "--index-url=http://evil", "a @ http://evil/a.whl", "a==1 --pre"],
)
def test_nothing_but_pins_is_taken(step: Step, requirement: str) -> None:
    with pytest.raises(BadInput, match=r"want pins, such as azure-ai-ml==1\.35\.2"):
        step("ping", requirements=[requirement])


def test_a_package_that_is_not_there_is_bad_input_with_what_pip_says(wheels: Path, tmp_path: Path) -> None:
    assert wheels.exists()
    with pytest.raises(BadInput, match=r"(?s)installing azure-ai-ml==0\.0\.1: .*No matching distribution"):
        virtualenv.made(["azure-ai-ml==0.0.1"], tmp_path / "venv", seconds=60)


def test_an_index_that_does_not_answer_is_tried_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wheels: Path
) -> None:
    assert wheels.exists()
    monkeypatch.delenv("PIP_NO_INDEX")
    for name, value in {"INDEX_URL": "http://127.0.0.1:9/simple", "RETRIES": "1", "TIMEOUT": "1"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    with pytest.raises(TryAgain, match=r"installing azure-ai-ml==0\.0\.1"):
        virtualenv.made(["azure-ai-ml==0.0.1"], tmp_path / "venv", seconds=60)
