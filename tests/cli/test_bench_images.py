"""The benchmark of the images: what is a layer, what is shared, and what the report makes of times and sizes."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.bench import builds, edits, image_sizes, throwaway
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

HISTORY = """\
0 ENTRYPOINT ["python"]
0 RUN /bin/sh -c true # buildkit
31 COPY jobs/hello.py jobs/ # buildkit
0 USER root
0 WORKDIR /opt/tidegate
0 ENV PYTHONUNBUFFERED=1
79583203 
"""  # noqa: W291 - as Docker writes an imported root
MIB = image_sizes.MIB


@pytest.fixture
def copy(tmp_path: Path) -> throwaway.Copy:
    for name in ("skaffold.yaml", throwaway.DOCKERFILE, *builds.EDITED.values()):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    return throwaway.Copy(tmp_path)


def test_layers_are_what_touches_files_oldest_first() -> None:
    digests = ["root", "workdir", "copy", "run"]
    assert image_sizes.layers(digests, HISTORY) == {"root": 79583203, "workdir": 0, "copy": 31, "run": 0}
    with pytest.raises(AssertionError, match="3 layers and a history of 4"):
        image_sizes.layers(digests[:3], HISTORY)


def sizes() -> dict[str, Any]:
    base = {"root": 100 * MIB}
    shared = {**base, "pip": 50 * MIB}
    return {
        "base": {"unpacked": 110.0, "budget": None, "layers": base},
        "hello": {"unpacked": 180.0, "budget": 70, "layers": {**shared, "hello": MIB // 2}},
        "train_model": {"unpacked": 190.4, "budget": 80, "layers": {**shared, "train": 2 * MIB}},
    }


def test_an_images_own_layers_are_those_that_no_other_has() -> None:
    assert image_sizes.own(sizes()) == {"base": 0, "hello": MIB // 2, "train_model": 2 * MIB}


def test_sizes_are_held_against_their_limits_above_the_base() -> None:
    said = image_sizes.show(sizes())
    assert "| base | 110 | 0 |  |  | 0.0 |" in said
    assert "| hello | 180 | 70 | 70 | yes | 0.5 |" in said
    assert "| train_model | 190 | 80 | 80 | no | 2.0 |" in said
    assert "All 3 have 152 MiB of layers; unshared they would have 402." in said


@pytest.mark.parametrize("file", sorted({*builds.EDITED.values(), *edits.EDITED.values()}))
def test_an_edit_changes_one_line_that_help_prints_and_is_never_the_same(copy: throwaway.Copy, file: str) -> None:
    before = (ROOT / file).read_text().splitlines()
    marks = [copy.edit(file), copy.edit(file)]
    after = (copy.root / file).read_text().splitlines()
    assert len(set(marks)) == 2
    assert after[0] == before[0].replace('"""', f'"""{marks[1]} ', 1)
    assert after[1:] == before[1:]
    copy.restore(file)
    assert (copy.root / file).read_text().splitlines() == before


def test_an_edit_of_the_base_is_its_first_layer(copy: throwaway.Copy) -> None:
    before = (ROOT / throwaway.DOCKERFILE).read_text().splitlines()
    for _ in range(2):
        copy.edit_base()
    after = (copy.root / throwaway.DOCKERFILE).read_text().splitlines()
    assert [line for line in after if line not in before] == [f"RUN echo {copy.state} > /etc/edit"]
    assert re.match("FROM ", after[after.index(f"RUN echo {copy.state} > /etc/edit") - 1])


def test_a_file_without_a_place_for_an_edit_is_refused(copy: throwaway.Copy) -> None:
    (copy.root / "jobs/hello.py").write_text("x = 1\n")
    with pytest.raises(AssertionError, match=r"jobs/hello\.py: no place for an edit"):
        copy.edit("jobs/hello.py")


def test_the_list_of_images_can_be_shortened(copy: throwaway.Copy) -> None:
    copy.only([throwaway.BASE, "hello"])
    artifacts = yaml.safe_load((copy.root / "skaffold.yaml").read_text())["build"]["artifacts"]
    assert [one["image"] for one in artifacts] == ["tidegate/base", "tidegate/hello"]
    assert artifacts[1]["requires"] == [{"image": "tidegate/base", "alias": "BASE"}]


PROGRAM = """\
import os, sys, time
open("pid", "w").write(str(os.getpid()))
print("soon")
print("watching x", flush=True)
time.sleep(600 if sys.argv[1:] == ["dev"] else 0)
"""


def test_a_program_of_the_copy_runs_from_what_it_says_to_the_end_of_the_block(copy: throwaway.Copy) -> None:
    (copy.root / "tidegate/__init__.py").touch()
    (copy.root / "tidegate/__main__.py").write_text(PROGRAM)
    with copy.running("dev", until="watching "):
        pid = int((copy.root / "pid").read_text())
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    said = re.compile(r"no line began with 'ready'.*\nsoon\nwatching x", re.DOTALL)
    with pytest.raises(AssertionError, match=said), copy.running("ended", until="ready"):
        pass


def test_builds_are_told_beside_dockers_own() -> None:
    times = {builds.OURS: [2.0, 3.0, 4.0], builds.PLAIN: [6.0, 6.0, 5.0]}
    said = builds.show({"hello": {builds.EDIT: times}})
    assert "| hello | one line edited | 2.0 / 3.0 / 4.0 | 5.0 / 6.0 / 6.0 | 0.50 |" in said


def samples(once: float) -> edits.Samples:
    ways = {edits.WATCHING: (3.0, 1.0), edits.ONCE: (once, 1.0), edits.HAND: (19.0, 1.0)}
    parts = {edits.READY: lambda x: x[0], edits.POD: lambda x: x[1], edits.BOTH: sum}
    return {what: {way: [part(times)] * 2 for way, times in ways.items()} for what, part in parts.items()}


def test_the_goal_is_for_the_way_from_the_edit_to_the_pod() -> None:
    said = edits.show({"hello": samples(6.0), "train_model": samples(9.5)})
    lines = [line for line in said.splitlines() if line.startswith("| hello ")]
    assert lines == [
        "| hello | `tidegate dev`, watching | 3.0 / 3.0 / 3.0 | 1.0 / 1.0 / 1.0 | 4.0 / 4.0 / 4.0 | 0.20 |",
        "| hello | `tidegate dev --once` | 6.0 / 6.0 / 6.0 | 1.0 / 1.0 / 1.0 | 7.0 / 7.0 / 7.0 | 0.35 |",
        "| hello | by hand | 19.0 / 19.0 / 19.0 | 1.0 / 1.0 / 1.0 | 20.0 / 20.0 / 20.0 | 1.00 |",
    ]
    assert said.endswith(
        "Goal: at most 10 s at the median. `tidegate dev`, watching: hello 4.0 s, met, train_model 4.0 s, met; "
        "`tidegate dev --once`: hello 7.0 s, met, train_model 10.5 s, not met."
    )


def test_a_cluster_that_takes_no_images_is_told_of() -> None:
    assert "not measured" in edits.show({})


def test_a_step_gets_another_image_and_keeps_the_rest() -> None:
    config = {"hello": '{"image": "tidegate/hello:1", "env": {}}', "other": "{}"}
    changed = edits.with_image(config, "hello", "tidegate/hello:2")
    assert {name: json.loads(text) for name, text in changed.items()} == {
        "hello": {"image": "tidegate/hello:2", "env": {}}
    }


def test_an_image_is_forgotten_by_all_its_names() -> None:
    listing = """\
REF                                 TYPE                                       DIGEST    SIZE      PLATFORMS   LABELS
docker.io/tidegate/hello:bench-1    application/vnd.oci.image.manifest.v1+json sha256:aa 186.4 MiB linux/amd64 -
docker.io/tidegate/hello:2          application/vnd.oci.image.manifest.v1+json sha256:bb 186.4 MiB linux/amd64 -
sha256:cc                           application/vnd.oci.image.manifest.v1+json sha256:aa 186.4 MiB linux/amd64 -
"""
    found = edits.names(listing, "docker.io/tidegate/hello:bench-1")
    assert found == ["docker.io/tidegate/hello:bench-1", "sha256:cc"]


def test_a_pod_that_explains_itself_is_the_same_but_for_image_and_words() -> None:
    pod = {"spec": {"containers": [{"name": "step", "image": "old", "env": [{"name": "A", "value": "1"}]}]}}
    made = edits.explaining(pod, "new")
    assert made["spec"]["containers"] == [
        {"name": "step", "image": "new", "env": [{"name": "A", "value": "1"}], "args": ["--help"]}
    ]
    assert pod["spec"]["containers"][0]["image"] == "old"
