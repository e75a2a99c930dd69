"""A kubeconfig is left as it was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from tidegate.cluster import kubeconfig

if TYPE_CHECKING:
    from pathlib import Path

MINE = {"contexts": [{"name": "mine", "context": {}}], "current-context": "mine"}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the kubeconfig of this test lies; it does not exist."""
    path = tmp_path / "home" / ".kube" / "config"
    monkeypatch.setenv("KUBECONFIG", f"{path}:/other")
    path.parent.parent.mkdir()
    return path


def _write(path: Path, content: dict[str, object]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(content))


def test_kind_writes_to_the_first_file_or_the_home(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kubeconfig.path() == file
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(file.parent.parent))
    assert kubeconfig.path() == file


def test_a_file_and_folder_that_are_only_ours_go(file: Path) -> None:
    before = kubeconfig.look()
    _write(file, {"contexts": None, "current-context": ""})
    (file.parent / "cache" / "discovery").mkdir(parents=True)
    kubeconfig.restore(before)
    assert not file.parent.exists()
    kubeconfig.restore(before)


def test_a_file_that_others_wrote_to_stays(file: Path) -> None:
    before = kubeconfig.look()
    _write(file, MINE)
    kubeconfig.restore(before)
    assert kubeconfig.read(file) == MINE


def test_the_context_that_was_chosen_is_chosen_again(file: Path) -> None:
    _write(file, MINE)
    before = kubeconfig.look()
    _write(file, {**MINE, "current-context": ""})
    kubeconfig.restore(kubeconfig.Before(**before.to_json()))
    assert kubeconfig.read(file) == MINE


def test_a_choice_made_since_is_kept(file: Path) -> None:
    _write(file, MINE)
    before = kubeconfig.look()
    later = {"contexts": [*MINE["contexts"], {"name": "new", "context": {}}], "current-context": "new"}
    _write(file, later)
    kubeconfig.restore(before)
    assert kubeconfig.read(file) == later
