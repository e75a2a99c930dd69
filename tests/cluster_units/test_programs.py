"""Programs are built from exact versions, and an entry's name changes with everything that goes into it."""

from __future__ import annotations

import dataclasses
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tidegate.cluster import cache, programs
from tidegate.cluster.errors import ClusterError, MissingProgram

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("go1.26.8", (1, 26, 8)), ("v4.3.1+gabc", (4, 3, 1)), ("Client Version: v1.34.4", (1, 34, 4)), ("devel", ())],
)
def test_first_dotted_version_is_read(text: str, numbers: tuple[int, ...]) -> None:
    assert programs.numbers(text) == numbers


@pytest.mark.parametrize("module", programs.MODULES, ids=lambda module: module.name)
def test_every_module_states_exact_versions_and_sums(module: programs.Module) -> None:
    text = (module.path / "go.mod").read_text()
    versions = re.findall(r"^\s*(?:require )?([a-z][\w.-]*\.[\w./-]+) (v\S+)", text, re.MULTILINE)
    assert versions
    assert (module.path / "go.sum").stat().st_size > 0
    wanted = programs.numbers(re.search(r"^go (\S+)", text, re.MULTILINE)[0])  # type: ignore[index]
    assert wanted <= programs.GO_AT_LEAST
    assert wanted <= programs.numbers(programs.GO_FROM_PYPI)


def test_every_folder_of_programs_is_built_by_a_module() -> None:
    folders = {path.parent for path in programs.FOLDER.glob("*/go.mod")}
    assert folders == {module.path for module in programs.MODULES}


def test_kubernetes_and_its_libraries_have_one_version() -> None:
    text = (programs.FOLDER / "kubernetes" / "go.mod").read_text()
    number = programs.version("kubernetes", "k8s.io/kubernetes")
    replaced = re.findall(r"k8s\.io/\S+ => k8s\.io/\S+ (v\S+)", text)
    assert replaced
    assert set(replaced) == {f"v0.{number.removeprefix('v1.')}"}


def test_version_of_a_module_that_is_not_required_is_refused() -> None:
    with pytest.raises(ClusterError, match=r"go\.mod does not require example\.org/x"):
        programs.version("kind", "example.org/x")


def test_key_changes_with_flags_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(programs.FOLDER / "kind", tmp_path / "kind")
    monkeypatch.setattr(programs, "FOLDER", tmp_path)
    before = programs.key("kind")
    assert programs.key("kind") == before
    module = dataclasses.replace(programs.MODULES[0], tags=("x",))
    monkeypatch.setattr(programs, "MODULES", (module,))
    tagged = programs.key("kind")
    (tmp_path / "kind" / "go.sum").write_text("")
    assert len({before, tagged, programs.key("kind")}) == 3


def test_a_built_program_is_used_before_one_on_path() -> None:
    entry = cache.entry("bin", programs.key("helm"), lambda folder: (folder / "helm").touch())
    assert programs.program("helm") == entry / "helm"


@pytest.mark.parametrize(("says", "used"), [("v9.1.0", True), ("v3.2.0", False), ("nonsense", False)])
def test_a_program_on_path_is_used_if_it_is_new_enough(
    says: str, used: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helm = tmp_path / "helm"
    helm.write_text(f"#!/bin/sh\necho {says}\n")
    helm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(programs, "build", lambda name: tmp_path / "built" / name)
    assert programs.program("helm") == (helm if used else tmp_path / "built" / "helm" / "helm")


def test_an_unknown_program_is_named() -> None:
    with pytest.raises(MissingProgram, match="'nonsense' is not among"):
        programs.program("nonsense")
