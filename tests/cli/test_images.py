"""`tidegate images list|mirror`: what an install needs is what the chart's render names, and all of it is copied."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from tidegate.cli import app, needed_images
from tidegate.cli.fault import Fault
from tidegate.cluster import chart, commands, engine, mirror, standins
from tidegate.cluster import images as cluster_images
from tidegate.cluster.errors import CommandFailed, MissingProgram

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MIRROR = "registry.example/mirror"


@pytest.fixture(autouse=True)
def _standalone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chart that is always there, and an engine that is not."""
    monkeypatch.setattr(chart, "find_airflow_chart", lambda: (None, "standalone"))
    monkeypatch.setattr(engine, "find", lambda: None)


def call(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["images", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def listed(*arguments: str) -> dict[str, dict[str, str]]:
    return {one["image"]: one for one in json.loads(call("list", "--json", *arguments))}


def test_every_image_of_an_install_is_listed_with_its_exact_tag() -> None:
    found = listed()
    ours = {name: one["reference"] for name, one in found.items() if one["comes_from"] == "built here"}
    assert ours == cluster_images.references()
    others = {one["reference"] for one in found.values() if one["comes_from"] == "upstream"}
    assert others == set(standins.IN_CLUSTER)


def test_what_is_switched_off_is_not_needed(tmp_path: Path) -> None:
    off = {"devcloud": {"azureMlApi": {"image": "tidegate/azure_ml_api:0123456789ab"}, "maildev": {"image": "m/m:9"}}}
    off |= {"people": {"database": {"image": "postgres:18"}}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(off))
    found = {one["reference"] for one in listed("--values", str(tmp_path / "mine.yaml")).values()}
    assert {"m/m:9", "postgres:18"} <= found
    assert "maildev/maildev:2.2.1" not in found


def test_values_that_helm_refuses_are_told_in_its_words(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("devclould: {}\n")
    with pytest.raises(CommandFailed, match="devclould"):
        call("list", "--values", str(tmp_path / "mine.yaml"))


def test_images_are_found_wherever_a_render_names_them() -> None:
    text = """
      - name: a
        image: registry.k8s.io/git-sync/git-sync:v4.4.2
        image: "localhost:5000/a/b:1"
        imagePullPolicy: IfNotPresent
      hello: "{\\"env\\":{},\\"image\\":\\"tidegate/hello:0123456789ab\\",\\"labels\\":{}}"
      image: postgres@sha256:00ff
      pod: |
        containers: [{name: base, image: 'tidegate/airflow:1'}]
      # image: nothing here
    """
    assert needed_images.in_render(text) == {
        "registry.k8s.io/git-sync/git-sync:v4.4.2",
        "localhost:5000/a/b:1",
        "tidegate/hello:0123456789ab",
        "postgres@sha256:00ff",
        "tidegate/airflow:1",
    }


NAMES = {
    "postgres:17": f"{MIRROR}/postgres:17",
    "maildev/maildev:2.2.1": f"{MIRROR}/maildev/maildev:2.2.1",
    "ghcr.io/versity/versitygw:v1.8.0": f"{MIRROR}/versity/versitygw:v1.8.0",
    "localhost:5000/a/b:1": f"{MIRROR}/a/b:1",
    "localhost/b:1": f"{MIRROR}/b:1",
    f"{MIRROR}/a:1": f"{MIRROR}/a:1",
}


@pytest.mark.parametrize("ref", NAMES)
@pytest.mark.parametrize("end", ["", "/"])
def test_a_mirrored_image_has_the_name_that_the_chart_gives_it(ref: str, end: str) -> None:
    assert mirror.named(ref, MIRROR + end) == NAMES[ref]


def test_the_names_are_those_of_a_render_with_the_registry(tmp_path: Path) -> None:
    sync = {"airflow": {"images": {"gitSync": {"repository": f"{MIRROR}/git-sync/git-sync"}}}}
    refs = cluster_images.references()
    airflow, tag = mirror.named(refs["airflow"], MIRROR).rsplit(":", 1)
    sync["airflow"]["images"]["airflow"] = {"repository": airflow, "tag": tag}  # type: ignore[dict-item]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"global": {"imageRegistry": MIRROR}, **sync}))
    text = needed_images._render(refs, [tmp_path / "mine.yaml"])
    plain = [one["reference"] for name, one in listed().items() if name != "base"]
    assert needed_images.in_render(text) == {mirror.named(ref, MIRROR) for ref in plain}


class Engine:
    """The engine's and other programs' commands, as they are called; some fail."""

    def __init__(self, *, has: Sequence[str] = (), refuses: Sequence[str] = ()) -> None:
        self.calls: list[list[str]] = []
        self.has, self.refuses = set(has), refuses
        self.says = "denied: sign in first"

    def run(self, command: Sequence[Any], **_: Any) -> str:
        words = [str(word) for word in command]
        self.calls.append(words[1:])
        if words[1] in ("pull", "push") and any(word in self.refuses for word in words):
            raise CommandFailed(words, 1, f"pulling\n{self.says}")
        return ""


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine(has=["tidegate/hello:1"], refuses=["ghcr.io/versity/versitygw:v1"])
    monkeypatch.setattr(engine, "find", lambda: engine.Engine("29", ours=False))
    monkeypatch.setattr(engine, "docker", lambda: "docker")
    monkeypatch.setattr(commands, "run", made.run)
    monkeypatch.setattr(commands, "output", made.run)
    monkeypatch.setattr(standins, "exists", made.has.__contains__)
    monkeypatch.setattr(standins, "is_standin", lambda ref: ref == "postgres:17")
    return made


def test_what_the_engine_lacks_is_pulled_and_all_is_pushed_under_its_new_name(copies: Engine) -> None:
    done = mirror.mirror(["tidegate/hello:1", "postgres:17", "postgres:17"], f"{MIRROR}/")
    assert copies.calls == [
        ["tag", "tidegate/hello:1", f"{MIRROR}/tidegate/hello:1"],
        ["push", f"{MIRROR}/tidegate/hello:1"],
        ["pull", "postgres:17"],
        ["tag", "postgres:17", f"{MIRROR}/postgres:17"],
        ["push", f"{MIRROR}/postgres:17"],
    ]
    assert [(one.fault, one.stand_in) for one in done] == [("", False), ("", True)]


def test_one_that_cannot_be_copied_is_named_and_does_not_stop_the_others(
    copies: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = ("ghcr.io/versity/versitygw:v1", "postgres:17")
    found = [needed_images.Needed(name="x", ref=ref, comes_from="upstream") for ref in refs]
    monkeypatch.setattr(needed_images, "needed", lambda **_: found)
    with pytest.raises(Fault, match="1 of 2 could not be copied"):
        call("mirror", MIRROR)
    assert ["push", f"{MIRROR}/postgres:17"] in copies.calls
    done = mirror.mirror(refs, MIRROR)
    assert [one.fault.partition(";")[0] for one in done] == ["denied: sign in first", ""]
    assert done[0].fault.endswith("docker login ghcr.io")
    monkeypatch.setattr(copies, "refuses", ())
    said = call("mirror", MIRROR)
    assert f"global.imageRegistry: {MIRROR}" in said
    assert "a stand-in" in said


SAID = {
    "unauthorized: authentication required": ("docker login", True),
    'Get "https://r/v2/": dial tcp: lookup r: no such host': ("see to that name and port", True),
    'Get "https://r/v2/": x509: certificate signed by unknown authority': ("/etc/docker/certs.d/{}/ca.crt", True),
    'Get "https://r/v2/": http: server gave HTTP response to HTTPS client': ('add "{}" to `insecure-registries`', True),
    "denied: this account may only pull": ("docker login {}", False),
    "blob upload invalid": ("blob upload invalid", False),
}


@pytest.mark.parametrize("said", SAID)
def test_a_registry_that_refuses_all_is_asked_once_and_what_to_do_is_told(copies: Engine, said: str) -> None:
    do, closed = SAID[said]
    copies.says, copies.refuses = said, [f"{MIRROR}/tidegate/hello:1"]
    done = mirror.mirror(["tidegate/hello:1", "postgres:17"], MIRROR)
    assert done[0].fault.startswith(said)
    assert do.format("registry.example") in done[0].fault
    assert (["push", f"{MIRROR}/postgres:17"] in copies.calls) is not closed
    assert done[1].fault == (mirror.NOT_TRIED if closed else "")


def test_where_images_come_from_may_refuse_all_and_the_others_are_copied(copies: Engine) -> None:
    copies.says = "dial tcp: i/o timeout"
    done = mirror.mirror(["ghcr.io/versity/versitygw:v1", "postgres:17"], MIRROR)
    assert "no registry answers at ghcr.io" in done[0].fault
    assert done[1].fault == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("skopeo", ["copy", "--all", "docker://postgres:17", f"docker://{MIRROR}/postgres:17"]),
        ("crane", ["copy", "postgres:17", f"{MIRROR}/postgres:17"]),
    ],
)
def test_without_an_engine_another_program_copies(monkeypatch: pytest.MonkeyPatch, name: str, words: list[str]) -> None:
    made = Engine()
    monkeypatch.setattr(commands, "run", made.run)
    monkeypatch.setattr(shutil, "which", lambda program: program if program == name else None)
    assert [one.fault for one in mirror.mirror(["postgres:17"], MIRROR)] == [""]
    assert made.calls == [words]


def test_with_nothing_to_copy_with_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(MissingProgram, match="skopeo"):
        mirror.mirror(["postgres:17"], MIRROR)


def test_a_dry_run_shows_both_names_and_copies_nothing() -> None:
    said = call("mirror", MIRROR, "--dry-run")
    assert any(line.split() == ["postgres:17", f"{MIRROR}/postgres:17"] for line in said.splitlines())
