"""`tidegate dev`: what was edited is brought, once, nothing else; what cannot be built is told and ends nothing."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tidegate.cli import app, dev, live_steps, release, state
from tidegate.cli.fault import Fault
from tidegate.cli.kubectl import Kubectl
from tidegate.cluster import images
from tidegate.cluster.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

KIND = "kind-there"


class Cluster:
    """The cluster, the engine and the git server at our own edge: what is there, and what was brought."""

    def __init__(self) -> None:
        self.refs = {name: f"tidegate/{name}:1" for name in ("base", "airflow", "hello", "score")}
        self.steps = {name: {"image": f"tidegate/{name}:1", "env": {"A": "b"}} for name in ("hello", "score")}
        self.running = {"tidegate/airflow:1", "postgres:17"}
        self.commit: str | None = None
        self.broken: set[str] = set()
        self.calls: list[str] = []
        self.patches: list[dict[str, Any]] = []
        self.owners = [{"manager": "helm"}]

    def edit(self, *names: str) -> None:
        self.refs |= {name: f"tidegate/{name}:2" for name in names}

    def references(self, *, registry: str | None = None) -> dict[str, str]:
        return {name: f"{registry}/{ref}" if registry else ref for name, ref in self.refs.items()}

    def build(self, *, registry: str | None = None, only: Collection[str]) -> dict[str, str]:
        for name in only:
            self.calls.append(f"build {name}")
            if name in self.broken:
                raise CommandFailed(["docker", "build"], 1, "[1/2] SyntaxError")
        return self.references(registry=registry)

    def load(self, refs: Collection[str], *, cluster: str) -> list[str]:
        self.calls.append(f"load {' '.join(refs)} into {cluster}")
        return list(refs)

    def push(self, refs: Collection[str]) -> None:
        self.calls.append(f"push {' '.join(refs)}")

    def push_dags(self, _kubectl: Kubectl, _folder: Path) -> str | None:
        self.calls.append("dags")
        commit, self.commit = self.commit, None
        return commit

    def read(self, kind: str, *_: str, **__: str) -> dict[str, Any]:
        assert kind == "configmap"
        data = {"_platform": "{}", **{name: json.dumps(entry) for name, entry in self.steps.items()}}
        return {"metadata": {"resourceVersion": "7", "managedFields": self.owners}, "data": data}

    def text(self, verb: str, *words: str) -> str:
        assert (verb, *words[:4]) == ("patch", "configmap", "--namespace", "tidegate-steps", "tidegate-steps")
        patch = json.loads(words[-1].removeprefix("--patch="))
        self.patches.append(patch)
        assert patch["metadata"]["resourceVersion"] == "7"
        self.owners = patch["metadata"].get("managedFields", [*self.owners, {"manager": words[-2].partition("=")[2]}])
        for name, text in patch.get("data", {}).items():
            self.calls.append(f"live {name}")
            self.steps[name] = json.loads(text)
        return ""


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cluster:
    made = Cluster()
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "cache"))
    for name in ("references", "build", "load", "push"):
        monkeypatch.setattr(images, name, getattr(made, name))
    monkeypatch.setattr(dev, "push_dags", made.push_dags)
    monkeypatch.setattr(release, "images", lambda _: made.running)
    monkeypatch.setattr(Kubectl, "read", lambda _, *words, **options: made.read(*words, **options))
    monkeypatch.setattr(Kubectl, "text", lambda _, *words: made.text(*words))
    return made


def way(registry: str | None = None) -> dev.Way:
    return dev.Way(Kubectl(KIND), registry)


def test_a_step_that_was_edited_is_built_loaded_and_given_to_its_next_pod(cluster: Cluster) -> None:
    cluster.edit("score")
    assert dev.once(way(), ["images"])
    assert cluster.calls == ["build score", "load tidegate/score:2 into there", "live score"]
    assert cluster.steps["score"] == {"image": "tidegate/score:2", "env": {"A": "b"}}
    cluster.calls.clear()
    assert dev.once(way(), ["images"])
    assert cluster.calls == []


def test_only_the_image_is_patched_and_only_where_nobody_else_wrote(cluster: Cluster) -> None:
    cluster.edit("score")
    dev.once(way(), ["images"])
    patch, disowned = cluster.patches
    assert patch["metadata"] == {"resourceVersion": "7"}
    assert list(patch["data"]) == ["score"]
    assert "data" not in disowned


def test_nobody_owns_what_was_patched_so_that_helm_may_overrule_it(cluster: Cluster) -> None:
    cluster.edit("score")
    dev.once(way(), ["images"])
    assert cluster.owners == [{"manager": "helm"}]


def test_with_a_registry_images_are_pushed_to_it(cluster: Cluster) -> None:
    for name in cluster.steps:
        cluster.steps[name]["image"] = f"registry.example/tidegate/{name}:1"
    cluster.edit("hello")
    assert dev.once(way("registry.example"), ["images"])
    ref = "registry.example/tidegate/hello:2"
    assert cluster.calls == ["build hello", f"push {ref}", "live hello"]
    assert cluster.steps["hello"]["image"] == ref


def test_each_step_is_live_before_the_next_one_is_built(cluster: Cluster) -> None:
    cluster.edit("hello", "score")
    assert dev.once(way(), ["images"])
    assert [call.partition(" ")[0] for call in cluster.calls] == ["build", "load", "live"] * 2


def test_one_that_cannot_be_built_is_told_and_the_others_are_brought(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.edit("hello", "score")
    cluster.broken = {"hello"}
    assert not dev.once(way(), ["images"])
    assert "live score" in cluster.calls
    assert "live hello" not in cluster.calls
    assert "[1/2] SyntaxError" in capsys.readouterr().err


def test_pipelines_are_pushed_and_a_commit_is_told(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.commit = "0123456789abcdef"
    assert dev.once(way(), ["pipelines"])
    assert cluster.calls == ["dags"]
    assert re.search(r"commit 0123456789ab is on the git server \(\d+\.\d s\)", capsys.readouterr().out)


def test_what_no_pod_of_a_step_runs_wants_make_up(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.edit("airflow", "base")
    cluster.refs["brand_new"] = "tidegate/brand_new:1"
    assert dev.once(way(), ["images"])
    assert capsys.readouterr().out.splitlines() == [f"{name} {dev.BY_UP}" for name in ("airflow", "brand_new")]
    assert cluster.calls == []


def test_the_command_ends_with_1_where_something_was_not_brought(cluster: Cluster) -> None:
    arguments = ["dev", "--once", "--context", KIND]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    cluster.edit("hello")
    cluster.broken = {"hello"}
    assert CliRunner().invoke(app, arguments).exit_code == 1


def test_a_cluster_that_is_not_kinds_needs_a_registry(cluster: Cluster) -> None:
    with pytest.raises(Fault, match="--registry"):
        dev.way(context="elsewhere")
    assert dev.way(context="elsewhere", registry="registry.example").registry == "registry.example"


def test_the_registry_of_the_last_up_is_taken_for_its_context_alone(cluster: Cluster) -> None:
    state.write(context="elsewhere", registry="registry.example", mode="official")
    assert dev.way() == dev.Way(Kubectl("elsewhere"), "registry.example")
    assert dev.way(context=KIND).registry is None
    with pytest.raises(Fault, match="--registry"):
        dev.way(context="third")


def test_where_tidegate_is_not_installed_make_up_is_named(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: str, **__: str) -> dict[str, Any]:
        raise CommandFailed(["kubectl"], 1, "connection refused")

    monkeypatch.setattr(cluster, "read", refused)
    with pytest.raises(Fault, match=r"make up[\s\S]*connection refused"):
        dev.way(context=KIND)
    assert not live_steps.exists(Kubectl(KIND))


class Edits:
    """Stands for the clock of `watch`: each wait is a chance to edit, and the last one is Ctrl-C."""

    def __init__(self, *edits: Any) -> None:
        self.left = list(edits)

    def sleep(self, _seconds: float) -> None:
        if not self.left:
            raise KeyboardInterrupt
        if edit := self.left.pop(0):
            edit()


def test_it_watches_until_ctrl_c(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("dags", "jobs", "helm"):
        (tmp_path / folder).mkdir()

    def edit_step() -> None:
        (tmp_path / "jobs" / "score.py").write_text("edited")
        cluster.edit("score")

    def edit_dag() -> None:
        (tmp_path / "dags" / "score.py").write_text("edited")

    def leave_behind() -> None:
        (tmp_path / "jobs" / "__pycache__").mkdir()
        (tmp_path / "jobs" / "__pycache__" / "score.pyc").write_text("")
        (tmp_path / "jobs" / ".score.py.swp").write_text("")

    def edit_chart() -> None:
        (tmp_path / "helm" / "values.yaml").write_text("edited")

    # an edit is followed by waits until two looks agree
    edits = Edits(edit_step, None, None, leave_behind, None, edit_dag, None, None, edit_chart, None, None)
    monkeypatch.setattr(dev.time, "sleep", edits.sleep)
    dev.watch(way(), root=tmp_path)
    assert cluster.calls == ["dags", "build score", "load tidegate/score:2 into there", "live score", "dags"]
    said = capsys.readouterr().out
    assert f"the chart {dev.BY_UP}" in said
    assert "ended" in said
