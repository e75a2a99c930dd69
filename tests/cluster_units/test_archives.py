"""Archives that an engine and kind accept: names first, shared layers once, equal input equal bytes."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

from tidegate.cluster import archives

if TYPE_CHECKING:
    from pathlib import Path


def _program(folder: Path, name: str = "tool", text: str = "x") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_archive_lists_every_image_in_its_first_member(tmp_path: Path) -> None:
    layer = archives.layer(tmp_path / "a.tar", {"/bin/tool": _program(tmp_path)})
    refs = ["registry.k8s.io/a-amd64:v1", "docker.io/kindest/b:v2", "docker.io/kindest/b:v3"]
    images = [archives.Image(ref, ("/bin/tool",), layer) for ref in refs]
    target = archives.write(tmp_path / "out.tar", images, machine="x86_64")
    with tarfile.open(target) as tar:
        first = tar.next()
        assert first is not None
        assert first.name == "repositories"
        named = json.load(tar.extractfile(first))  # type: ignore[arg-type]
        assert {f"{repo}:{tag}" for repo, tags in named.items() for tag in tags} == set(refs)


def test_manifest_points_to_configurations_and_layers_with_right_sums(tmp_path: Path) -> None:
    one = archives.layer(tmp_path / "1.tar", {"/bin/tool": _program(tmp_path)})
    two = archives.layer(tmp_path / "2.tar", {"/bin/tool": _program(tmp_path)})
    other = archives.layer(tmp_path / "3.tar", {"/bin/tool": _program(tmp_path, "other", "y")})
    images = [archives.Image(f"x/{n}:v1", (f"/{n}",), layer) for n, layer in enumerate((one, two, other))]
    with tarfile.open(archives.write(tmp_path / "out.tar", images, machine="aarch64")) as tar:
        content = {member.name: tar.extractfile(member).read() for member in tar if member.isreg()}  # type: ignore[union-attr]
    manifest = json.loads(content["manifest.json"])
    assert [item["RepoTags"] for item in manifest] == [["x/0:v1"], ["x/1:v1"], ["x/2:v1"]]
    for place, item in enumerate(manifest):
        configuration = content[item["Config"]]
        assert item["Config"] == f"{hashlib.sha256(configuration).hexdigest()}.json"
        said = json.loads(configuration)
        assert said["architecture"] == "arm64"
        assert said["config"]["Entrypoint"] == [f"/{place}"]
        digest = hashlib.sha256(content[item["Layers"][0]]).hexdigest()
        assert said["rootfs"]["diff_ids"] == [f"sha256:{digest}"]
    assert len([name for name in content if name.endswith("layer.tar")]) == 2


def test_layer_has_programs_links_and_what_it_is_put_onto(tmp_path: Path) -> None:
    below = archives.layer(tmp_path / "below.tar", {"/usr/bin/busybox": _program(tmp_path)})
    both = archives.layer(
        tmp_path / "both.tar", {"/bin/tool": _program(tmp_path)}, links={"/bin/sh": "/usr/bin/busybox"}, onto=below
    )
    with tarfile.open(both) as tar:
        members = {member.name: member for member in tar}
    assert members.keys() == {"tmp", "usr/bin/busybox", "bin/tool", "bin/sh"}
    assert members["bin/tool"].mode == 0o755
    assert members["bin/sh"].linkname == "/usr/bin/busybox"
    assert members["tmp"].mode == 0o1777


def test_extract_takes_only_what_is_wanted_and_forgets_owners_and_times(tmp_path: Path) -> None:
    root = tmp_path / "root.tar"
    with tarfile.open(root, "w") as tar:
        for name in ("./usr/sbin/nft", "./etc/shadow"):
            member = tarfile.TarInfo(name)
            member.size, member.uid, member.mtime = 1, 7, 99
            tar.addfile(member, io.BytesIO(b"x"))
    wanted = archives.extract(tmp_path / "out.tar", root, wanted=lambda name: name.startswith("usr/"))
    with tarfile.open(wanted) as tar:
        assert [(member.name, member.uid, member.mtime) for member in tar] == [("tmp", 0, 0), ("usr/sbin/nft", 0, 0)]


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    sums = set()
    for turn in ("a", "b"):
        layer = archives.layer(tmp_path / f"{turn}.tar", {"/bin/tool": _program(tmp_path)})
        image = archives.Image("x/y:v1", ("/bin/tool",), layer)
        sums.add(archives.write(tmp_path / f"{turn}.out", [image], machine="x86_64").read_bytes())
    assert len(sums) == 1
