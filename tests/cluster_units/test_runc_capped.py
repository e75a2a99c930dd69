"""The wrapper asks runc for nothing that the machine cannot give, and changes nothing where it can give all."""

from __future__ import annotations

import importlib.util
import json
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING, Any

import pytest

from tidegate.cluster.project import AIRGAP

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


@pytest.fixture(scope="module")
def wrapper() -> ModuleType:
    """The script as a module."""
    loader = SourceFileLoader("runc_capped", str(AIRGAP / "runc-capped"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def _process() -> dict[str, Any]:
    both = ["CAP_CHOWN", "CAP_SYS_RESOURCE"]
    return {
        "capabilities": {"bounding": both, "effective": [*both], "ambient": None},
        "oomScoreAdj": -500,
        "rlimits": [1],
    }


def test_missing_capabilities_are_read_from_the_bounding_set(wrapper: ModuleType) -> None:
    assert wrapper.missing("CapBnd:\t000001fffeffffff\n") == {"CAP_SYS_RESOURCE"}
    assert wrapper.missing("CapBnd:\t000001ffffffffff\n") == set()
    assert wrapper.missing("CapBnd:\t000001fffffffffe\n") == {"CAP_CHOWN"}


def test_process_loses_only_what_cannot_be_given(wrapper: ModuleType) -> None:
    process = _process()
    wrapper.soften(process, {"CAP_SYS_RESOURCE"})
    assert process == {
        "capabilities": {"bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"], "ambient": None},
        "oomScoreAdj": 0,
    }
    process = _process()
    wrapper.soften(process, {"CAP_SYS_MODULE"})
    assert process == _process()


@pytest.mark.parametrize("words", [["--root", "/r", "create", "--bundle", "B", "id"], ["create", "--bundle=B", "id"]])
def test_bundle_of_a_new_container_is_rewritten(
    wrapper: ModuleType, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"process": _process(), "root": {"path": "rootfs"}}))
    called: list[list[str]] = []
    monkeypatch.setattr(wrapper, "missing", lambda _: {"CAP_SYS_RESOURCE"})
    monkeypatch.setattr(wrapper.os, "execv", lambda _, argv: called.append(argv))
    words = [word.replace("B", str(tmp_path)) if word.endswith("B") else word for word in words]
    wrapper.main(words)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["root"] == {"path": "rootfs"}
    assert written["process"]["capabilities"]["bounding"] == ["CAP_CHOWN"]
    assert called == [["runc", *words]]


def test_process_of_an_exec_is_rewritten(wrapper: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "process.json"
    file.write_text(json.dumps(_process()))
    monkeypatch.setattr(wrapper, "missing", lambda _: {"CAP_SYS_RESOURCE"})
    monkeypatch.setattr(wrapper.os, "execv", lambda *_: None)
    wrapper.main(["exec", "--process", str(file), "--detach", "id"])
    assert "rlimits" not in json.loads(file.read_text())
