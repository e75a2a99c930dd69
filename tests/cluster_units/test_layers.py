"""Layers come out of the engine's folder byte by byte as they went in, and only those that a node lacks go there."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import socket
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster_units import engine_folder
from tidegate.cluster import commands, engine, images, layers, nodes
from tidegate.cluster.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

BASE = engine_folder.layer({"bin/python": bytes(range(256)) * 9000, "etc/passwd": b"x" * 511, "etc/empty": b""})
CODE = engine_folder.layer(
    {"opt/" + "deep/" * 60 + "a.py": b"print(1)", os.fsdecode(b"opt/\xff.txt"): b"?", "opt/.wh.old": b""},
    links={"bin/python3": "bin/python"},
)
EDITED = engine_folder.layer({"opt/a.py": b"print(2)"})
HELLO, OTHER = "tidegate/hello:1", "registry.example/other:2"
KEPT = {HELLO: [BASE, CODE], OTHER: [BASE, EDITED]}


class Machine:
    """The engine's and the nodes' commands: what they are asked, what the nodes were sent."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ids = {ref: engine_folder.keep(root, parts) for ref, parts in KEPT.items()}
        self.nodes: dict[str, tuple[set[str], set[str]]] = {"one": (set(), set())}
        self.sent: list[tuple[str, bytes]] = []
        self.save = engine_folder.save_classic
        self.saves = 0
        self.refuses = 0

    def output(self, command: Sequence[Any], **_: Any) -> str:
        words = [str(word) for word in command]
        match words[1:]:
            case ["info", *_]:
                return f"{self.root}\t{engine_folder.DRIVER}\n"
            case ["image", "inspect", _, _, *refs]:
                return "\n".join(self.ids[ref] for ref in refs) + "\n"
            case ["get", "nodes", "--name=c"]:
                return "\n".join(self.nodes)
            case ["inspect", "--format={{.State.Pid}}", _]:
                return "0\n"  # no process has that number
            case ["exec", node, "sh", "-c", _]:
                names, blobs = self.nodes[node]
                return "\n".join([*sorted(names), nodes.APART, *sorted(blobs)]) + "\n"
        raise AssertionError(words)

    def run(self, command: Sequence[Any], *, stdin: Iterable[bytes] = (), **_: Any) -> None:
        words = [str(word) for word in command]
        if words[1] == "save":
            self.saves += 1
            self.save(layers.Path(words[2].removeprefix("--output=")), {ref: KEPT[ref] for ref in words[3:]})
            return
        assert words[1:3] == ["exec", "--interactive"]
        content = b"".join(stdin)
        if self.refuses:
            self.refuses -= 1
            raise CommandFailed(words, 1, "content digest sha256:0: not found")
        self.sent.append((words[3], content))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path / "docker")
    monkeypatch.setattr(engine, "docker", lambda: "docker")
    monkeypatch.setattr(engine, "environment", dict)
    monkeypatch.setattr(nodes.programs, "program", lambda name: name)
    monkeypatch.setattr(commands, "output", made.output)
    monkeypatch.setattr(commands, "run", made.run)
    return made


def members(archive: bytes) -> dict[str, bytes]:
    """Name -> content of every member, in their order."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def blobs(archive: bytes) -> set[str]:
    found = {name: content for name, content in members(archive).items() if name.startswith("blobs/")}
    for name, content in found.items():
        assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"
    return {name.removeprefix("blobs/").replace("/", ":") for name in found}


def images_in(archive: bytes) -> dict[str, dict[str, Any]]:
    """Name -> manifest, whose configuration and layers are followed by digest and size."""
    found = members(archive)
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads(found["index.json"])
    named = {one["annotations"]["io.containerd.image.name"]: one["digest"] for one in index["manifests"]}
    return {name: json.loads(found[f"blobs/{digest.replace(':', '/')}"]) for name, digest in named.items()}


def test_layers_come_out_of_the_engines_folder_as_they_went_in(machine: Machine) -> None:
    hello, other = layers.stored([HELLO, OTHER])
    assert [b"".join(blob.chunks()) for blob in hello.layers] == [BASE, CODE]
    assert [blob.size for blob in hello.layers] == [len(BASE), len(CODE)]
    assert [blob.digest for blob in other.layers] == [engine_folder.digest(one) for one in (BASE, EDITED)]
    assert (hello.name, other.name) == ("docker.io/tidegate/hello:1", OTHER)
    assert hello.config == engine_folder.config([BASE, CODE])


def test_an_archive_is_whole_and_holds_each_layer_once(machine: Machine) -> None:
    archive = b"".join(layers.archive(layers.stored([HELLO, OTHER])))
    assert len(archive) % tarfile.BLOCKSIZE == 0
    found = images_in(archive)
    assert list(found) == ["docker.io/tidegate/hello:1", OTHER]
    sizes = {engine_folder.digest(one): len(one) for one in (BASE, CODE, EDITED)}
    for manifest in found.values():
        for one in manifest["layers"]:
            assert one == {"mediaType": layers.LAYER, "digest": one["digest"], "size": sizes[one["digest"]]}
        assert manifest["config"]["digest"] in blobs(archive)
    assert set(sizes) < blobs(archive)
    assert list(members(archive))[-1] == "index.json"


def test_a_layer_that_is_there_is_named_and_not_sent(machine: Machine) -> None:
    there = engine_folder.digest(BASE)
    archive = b"".join(layers.archive(layers.stored([HELLO]), without={there}))
    assert there not in blobs(archive)
    assert len(archive) < len(CODE) + 10_000
    assert images_in(archive)["docker.io/tidegate/hello:1"]["layers"][0]["digest"] == there


def test_a_folder_that_is_not_here_is_told(machine: Machine, tmp_path: Path) -> None:
    machine.root = tmp_path / "elsewhere"
    with pytest.raises(layers.Unreadable, match="elsewhere"):
        layers.stored([HELLO])


def test_a_file_that_was_cut_short_is_no_layer(machine: Machine) -> None:
    path = next(machine.root.rglob("python"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(OSError, match="ends 1 bytes early"):
        list(layers.archive(layers.stored([HELLO])))


@pytest.mark.parametrize("form", ["classic", "oci"])
def test_both_forms_of_a_saved_archive_are_read(machine: Machine, tmp_path: Path, form: str) -> None:
    machine.save = {"classic": engine_folder.save_classic, "oci": engine_folder.save_oci}[form]
    found = {image.name: image for image in layers.saved([HELLO, OTHER], tmp_path / "images.tar")}
    assert list(found) == ["docker.io/tidegate/hello:1", OTHER]
    for ref, image in zip(KEPT, found.values(), strict=True):
        content = [b"".join(blob.chunks()) for blob in image.layers]
        plain = [gzip.decompress(one) for one in content] if form == "oci" else content
        assert plain == KEPT[ref]
        assert [blob.media for blob in image.layers] == [layers.LAYER + ("+gzip" if form == "oci" else "")] * 2
        assert [blob.size for blob in image.layers] == [len(one) for one in content]
    blobs(b"".join(layers.archive(list(found.values()))))


def test_a_node_gets_what_it_lacks_and_one_that_has_all_gets_nothing(machine: Machine) -> None:
    everything = {"docker.io/tidegate/hello:1", OTHER}
    machine.nodes = {"old": ({OTHER}, {engine_folder.digest(BASE)}), "new": (set(), set()), "full": (everything, set())}
    assert images.load([HELLO, OTHER, HELLO], cluster="c") == [HELLO, OTHER]
    sent = dict(machine.sent)
    assert list(sent) == ["old", "new"]
    assert engine_folder.digest(BASE) not in blobs(sent["old"])
    assert engine_folder.digest(BASE) in blobs(sent["new"])
    assert list(images_in(sent["old"])) == ["docker.io/tidegate/hello:1"]
    assert list(images_in(sent["new"])) == ["docker.io/tidegate/hello:1", OTHER]
    assert machine.saves == 0


def test_where_nothing_lacks_nothing_is_asked_of_the_engine(machine: Machine) -> None:
    machine.nodes = {"one": ({"docker.io/tidegate/hello:1"}, set())}
    machine.ids.clear()
    assert images.load([HELLO], cluster="c") == []
    assert machine.sent == []


def test_an_engine_whose_folder_is_not_here_saves_what_lacks(machine: Machine, tmp_path: Path) -> None:
    machine.root = tmp_path / "elsewhere"
    machine.nodes = {"one": ({OTHER}, {engine_folder.digest(BASE)})}
    assert images.load([HELLO, OTHER], cluster="c") == [HELLO]
    assert machine.saves == 1
    assert engine_folder.digest(BASE) not in blobs(machine.sent[0][1])


@pytest.mark.parametrize("fault", ["a layer went from the node", "a layer is not what it was"])
def test_what_goes_wrong_half_way_is_done_again_with_everything(machine: Machine, fault: str) -> None:
    machine.nodes = {"one": (set(), {engine_folder.digest(BASE)})}
    if fault == "a layer went from the node":
        machine.refuses = 1
    else:
        next(machine.root.rglob("a.py")).unlink()
    images.load([HELLO], cluster="c")
    assert machine.saves == 1
    assert {engine_folder.digest(one) for one in KEPT[HELLO]} < blobs(machine.sent[-1][1])


def test_a_node_that_refuses_twice_is_told(machine: Machine) -> None:
    machine.refuses = 2
    with pytest.raises(CommandFailed, match="not found"):
        images.load([HELLO], cluster="c")


@pytest.mark.parametrize(("hostname", "listens"), [("one", True), ("another", True), ("one", False)])
def test_a_node_of_this_machine_is_entered_and_any_other_asked_by_way_of_the_engine(
    hostname: str, listens: bool, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "0" / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "hostname").write_text(f"{hostname}\n")
    (root / nodes.SOCKET).parent.mkdir(parents=True)
    monkeypatch.chdir((root / nodes.SOCKET).parent)  # the path of a socket is at most 107 bytes long
    monkeypatch.setattr(nodes.shutil, "which", lambda name: f"/usr/bin/{name}")
    with socket.socket(socket.AF_UNIX) as server:
        if listens:
            server.bind("containerd.sock")
        entered = nodes.within("one", processes=tmp_path)[0] == "nsenter"
    assert entered is (hostname == "one" and listens)


@pytest.mark.parametrize(
    ("ref", "kept"),
    [
        ("tidegate/hello:1", "docker.io/tidegate/hello:1"),
        ("postgres:17", "docker.io/library/postgres:17"),
        ("registry.k8s.io/git-sync/git-sync:v4", "registry.k8s.io/git-sync/git-sync:v4"),
        ("localhost/x:1", "localhost/x:1"),
        ("host:5000/x:1", "host:5000/x:1"),
    ],
)
def test_names_are_those_that_containerd_keeps(ref: str, kept: str) -> None:
    assert layers.containerd_name(ref) == kept
