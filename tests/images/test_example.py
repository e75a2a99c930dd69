"""The example of a step in another language: its image is built from its folder alone, and keeps the contract."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.jobs.steps import environment, files, result_of
from tidegate.cluster import cache, commands, engine, registries, standins
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FOLDER = ROOT / "docs" / "examples" / "count_lines"
USER = "10001:10001"
RUN_SECONDS = 120


@pytest.fixture(scope="module")
def image(refs: dict[str, str]) -> Iterator[str]:
    """Built without a network; unnamed again at the end."""
    ref = f"tidegate-tests/{FOLDER.name}:{cache.fingerprint(FOLDER)}"
    docker = engine.docker()
    if not standins.exists(standins.DEBIAN):
        registries.pull(standins.DEBIAN, log="pull-debian")
    command = [docker, "build", "--network=none", "--progress=plain", f"--tag={ref}", str(FOLDER)]
    commands.run(command, log="build-example", env={"DOCKER_BUILDKIT": "1"})
    yield ref
    commands.output([docker, "image", "rm", ref])


def run(image: str, folder: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """As a pod of the steps' namespace would; the folder is what it can reach of this machine."""
    hardened = ["--rm", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none"]
    given = [f"--env={name}={value}" for name, value in environ.items()]
    command = [engine.docker(), "run", *hardened, f"--volume={folder}:{folder}", *given, image]
    return subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    """The contract's variables, for a text of three lines; the step's user may write in its folder."""
    tmp_path.chmod(0o777)
    (tmp_path / "text").write_text("one\n\nthree\n")
    return environment(tmp_path, params={"blank": False}, inputs={"data": (tmp_path / "text").as_uri()})


def test_its_result_and_its_output_can_be_read(image: str, tmp_path: Path, given: dict[str, str]) -> None:
    done = run(image, tmp_path, given)
    assert (done.returncode, done.stderr) == (0, "")
    result: dict[str, Any] | None = result_of(given)
    assert result is not None
    assert result["metrics"] == {"lines": 2}
    assert [one["url"] for one in result["outputs"]] == [(tmp_path / "out" / "counts.txt").as_uri()]
    assert (tmp_path / "out" / "counts.txt").read_text() == "2\n"


def test_bad_input_is_exit_code_2_and_leaves_no_result(image: str, tmp_path: Path, given: dict[str, str]) -> None:
    done = run(image, tmp_path, given | {"TIDEGATE_INPUTS": '{"data": "file:///nowhere"}'})
    assert done.returncode == 2
    assert "there is no file:///nowhere" in done.stderr
    assert files(tmp_path) == ["text"]


def test_it_runs_as_no_root_and_adds_a_script_to_the_root_it_stands_on(image: str) -> None:
    inspect = [engine.docker(), "image", "inspect", "--format={{json .}}"]
    own, below = (json.loads(commands.output([*inspect, ref])) for ref in (image, standins.DEBIAN))
    assert own["Config"]["User"] == USER
    assert own["RootFS"]["Layers"][:-1] == below["RootFS"]["Layers"]
    assert own["Size"] - below["Size"] < 10_000
