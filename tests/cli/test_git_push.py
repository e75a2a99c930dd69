"""The working tree's `dags/` reaches a git repository as it is, and only when it changed. Real git."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tidegate.cli import git_push

if TYPE_CHECKING:
    from pathlib import Path


def git(*words: str, at: Path) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    return subprocess.run(["git", *identity, *words], cwd=at, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """A bare repository with one empty commit on `main`, as the git server starts with."""
    bare, seed = tmp_path / "dags.git", tmp_path / "seed"
    git("init", "--quiet", "--bare", "--initial-branch", "main", str(bare), at=tmp_path)
    git("init", "--quiet", "--initial-branch", "main", str(seed), at=tmp_path)
    git("commit", "--quiet", "--allow-empty", "--message", "start", at=seed)
    git("push", "--quiet", str(bare), "main", at=seed)
    return bare


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / "dags"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__" / "one.pyc").write_bytes(b"\0")
    (folder / "one.py").write_text("1\n")
    return folder


def push(server: Path, dags: Path, tmp_path: Path) -> str | None:
    clone = tmp_path / f"clone-{len(list(tmp_path.iterdir()))}"
    return git_push._push(clone, dags, address=server.as_uri(), credential="bm86b25l", message="test")


def test_the_folder_is_pushed_as_it_is(server: Path, dags: Path, tmp_path: Path) -> None:
    commit = push(server, dags, tmp_path)
    assert commit == git("rev-parse", "main", at=server)
    assert git("ls-tree", "-r", "--name-only", "main", at=server).split() == ["dags/one.py"]


def test_nothing_is_pushed_twice(server: Path, dags: Path, tmp_path: Path) -> None:
    push(server, dags, tmp_path)
    before = git("rev-parse", "main", at=server)
    assert push(server, dags, tmp_path) is None
    assert git("rev-parse", "main", at=server) == before


def test_a_removed_file_is_removed(server: Path, dags: Path, tmp_path: Path) -> None:
    push(server, dags, tmp_path)
    (dags / "one.py").rename(dags / "two.py")
    push(server, dags, tmp_path)
    assert git("ls-tree", "-r", "--name-only", "main", at=server).split() == ["dags/two.py"]


def test_git_neither_asks_nor_reads_the_callers_settings_nor_shows_the_credential() -> None:
    environment = git_push._environment("c2VjcmV0")
    assert environment["GIT_TERMINAL_PROMPT"] == "0"
    assert environment["GIT_CONFIG_GLOBAL"] == "/dev/null"
    assert "Authorization: Basic c2VjcmV0" in environment.values()
    assert not any("Authorization" in value for value in git_push._environment("").values())
