"""What `skaffold.yaml` calls: its names are kept, nodes get layers, and a step is live before helm runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from tidegate.cli import app, live_steps, skaffold
from tidegate.cluster import commands, engine, images, kind, standins
from tidegate.cluster.errors import ClusterError
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from tidegate.cli.kubectl import Kubectl

BUILT, ID = "tidegate/hello:abc", "0" * 64
LIVE = f"tidegate/hello:{ID}"


class World:
    """The engine, the nodes and the cluster at our own edge."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.installed = True

    def output(self, command: Sequence[Any], **_: Any) -> str:
        words = [str(word) for word in command]
        match words[1:]:
            case ["tag", old, new]:
                self.calls.append(f"tag {old} {new}")
                return ""
            case ["image", "inspect", *_]:
                return f"sha256:{ID}\n"
            case ["config", "current-context"]:
                return "kind-current\n"
        raise AssertionError(words)

    def build(self, *, only: Collection[str] | None = None) -> dict[str, str]:
        self.calls.append(f"build {' '.join(only or ['all'])}")
        return {name: f"tidegate/{name}:1" for name in ("base", "hello")}

    def load(self, refs: Collection[str], *, cluster: str) -> list[str]:
        self.calls.append(f"load {' '.join(refs)} into {cluster}")
        return list(refs)

    def set_images(self, kubectl: Kubectl, refs: Mapping[str, str]) -> list[str]:
        self.calls += [f"{name} is {ref} in {kubectl.context}" for name, ref in refs.items()]
        return list(refs)

    def push_dags(self, kubectl: Kubectl, folder: Path) -> str:
        assert folder == ROOT / "dags"
        self.calls.append(f"dags to {kubectl.context}")
        return "0123456789abcdef"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    made = World()
    for name in ("IMAGE", "PUSH_IMAGE", "SKAFFOLD_KUBE_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path))
    monkeypatch.setattr(engine, "docker", lambda: "docker")
    monkeypatch.setattr(skaffold, "program", lambda name: name)
    monkeypatch.setattr(kind, "mode", lambda: "airgap")
    monkeypatch.setattr(standins, "ensure", lambda *names: made.calls.append(f"ensure {' '.join(names)}"))
    monkeypatch.setattr(commands, "output", made.output)
    monkeypatch.setattr(images, "build", made.build)
    monkeypatch.setattr(images, "load", made.load)
    monkeypatch.setattr(images, "push", lambda refs: made.calls.append(f"push {' '.join(refs)}"))
    monkeypatch.setattr(live_steps, "exists", lambda _: made.installed)
    monkeypatch.setattr(live_steps, "set_images", made.set_images)
    monkeypatch.setattr(skaffold, "push_dags", made.push_dags)
    return made


def call(name: str, **environment: str) -> str:
    done = CliRunner().invoke(app, ["skaffold", name], env=environment, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_an_image_gets_the_name_that_skaffold_wants(world: World) -> None:
    call("build", IMAGE=BUILT, PUSH_IMAGE="false", SKAFFOLD_KUBE_CONTEXT="elsewhere")
    assert world.calls == ["build hello", f"tag tidegate/hello:1 {BUILT}"]


def test_for_a_registry_it_is_pushed(world: World) -> None:
    wanted = "registry.example:5000/mirror/tidegate/hello:abc"
    call("build", IMAGE=wanted, PUSH_IMAGE="true")
    assert world.calls == ["build hello", f"tag tidegate/hello:1 {wanted}", f"push {wanted}"]


def test_what_base_stands_on_is_made_where_it_cannot_be_pulled(world: World) -> None:
    call("build", IMAGE="tidegate/base:abc")
    assert world.calls[:2] == ["ensure python", "build base"]


def test_a_step_is_loaded_and_live_under_the_name_that_helm_gives_it_later(world: World) -> None:
    call("build", IMAGE=BUILT, SKAFFOLD_KUBE_CONTEXT="kind-there")
    after = [f"tag {BUILT} {LIVE}", f"load {LIVE} into there", f"hello is {LIVE} in kind-there"]
    assert world.calls == ["build hello", f"tag tidegate/hello:1 {BUILT}", *after]


def test_a_cluster_that_is_away_does_not_keep_an_image_from_being_built(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> list[str]:
        raise ClusterError("no node answers")

    monkeypatch.setattr(images, "load", away)
    said = call("build", IMAGE=BUILT, SKAFFOLD_KUBE_CONTEXT="kind-there")
    assert "hello: not in the cluster yet: no node answers" in said
    assert f"tag tidegate/hello:1 {BUILT}" in world.calls


def test_where_nothing_is_installed_yet_it_is_loaded_only(world: World) -> None:
    world.installed = False
    call("build", IMAGE=BUILT, SKAFFOLD_KUBE_CONTEXT="kind-there")
    assert world.calls[-1] == f"load {LIVE} into there"
    call("dags", SKAFFOLD_KUBE_CONTEXT="kind-there")
    assert world.calls[-1] == f"load {LIVE} into there"


def test_what_skaffold_did_not_build_is_loaded_before_helm_names_it(world: World) -> None:
    call("load", SKAFFOLD_KUBE_CONTEXT="kind-there")
    names = [f"tidegate/{name}" for name in ("base", "hello")]
    tagged = [f"tag {name}:1 {name}:{ID}" for name in names]
    assert world.calls == ["build all", *tagged, f"load {' '.join(f'{name}:{ID}' for name in names)} into there"]
    deployed = yaml.safe_load((ROOT / "skaffold.yaml").read_text(encoding="utf-8"))["deploy"]["helm"]["hooks"]
    assert deployed["before"] == [{"host": {"command": ["make", "-s", "skaffold-load"]}}]


def test_another_cluster_is_left_to_skaffold(world: World) -> None:
    call("load", SKAFFOLD_KUBE_CONTEXT="elsewhere")
    assert world.calls == []


def test_a_git_server_that_is_away_does_not_keep_skaffold_from_deploying(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> str:
        raise ClusterError("no answer at git-server")

    monkeypatch.setattr(skaffold, "push_dags", away)
    call("dags", SKAFFOLD_KUBE_CONTEXT="kind-there")


def test_the_context_is_that_of_the_last_deployment_else_kubectls(world: World) -> None:
    call("dags")
    call("dags", SKAFFOLD_KUBE_CONTEXT="kind-there")
    call("dags")
    assert world.calls == ["dags to kind-current", "dags to kind-there", "dags to kind-there"]


def test_called_by_hand_it_says_who_calls_it(world: World) -> None:
    done = CliRunner().invoke(app, ["skaffold", "build"])
    assert done.exit_code == 1
    assert "$IMAGE is not set" in str(done.exception)


def test_every_command_of_skaffold_yaml_is_one_of_ours() -> None:
    text = (ROOT / "skaffold.yaml").read_text(encoding="utf-8")
    named = set(re.findall(r"skaffold-([a-z]+)", text))
    assert named == {"build", "load", "dags"}
    for name in named:
        assert CliRunner().invoke(app, ["skaffold", name, "--help"]).exit_code == 0


def test_every_image_is_built_by_ours() -> None:
    for artifact in yaml.safe_load((ROOT / "skaffold.yaml").read_text(encoding="utf-8"))["build"]["artifacts"]:
        assert artifact["custom"]["buildCommand"] == "make -s skaffold-build", artifact["image"]
