"""The stand-in of git-sync, against real git."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tidegate.cluster.project import STANDINS

if TYPE_CHECKING:
    from types import ModuleType

Follower = Any
"""The class is known only once the script is loaded."""


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


sync = _load(STANDINS / "git_sync" / "git_sync.py")
server = _load(STANDINS / "git_server" / "start.py")


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment for git that knows nothing of the machine's own settings."""
    for name, value in {"HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}.items():
        monkeypatch.setenv(name, value)
    return dict(os.environ)


@pytest.fixture
def repository(tmp_path: Path, env: dict[str, str]) -> Path:
    """What the git server makes when it starts."""
    path = tmp_path / "dags.git"
    server.make_repository(path)
    return path


def _push(repository: Path, name: str, text: str) -> str:
    work = repository.parent / "work"
    if not work.exists():
        subprocess.run(["git", "clone", "-q", str(repository), str(work)], check=True)
    (work / name).write_text(text)
    identity = ["-c", "user.name=x", "-c", "user.email=x@example"]
    for words in (["add", "."], [*identity, "commit", "-qm", name], ["push", "-q", "origin", "main"]):
        subprocess.run(["git", *words], cwd=work, check=True)
    return subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=work, text=True).strip()


def _follower(repository: Path, env: dict[str, str]) -> Follower:
    root = repository.parent / "root"
    root.mkdir()
    wanted = sync.settings({"GITSYNC_REPO": f"file://{repository}", "GITSYNC_REF": "main", "GITSYNC_ROOT": str(root)})
    return sync.Follower(wanted, sync.git_environment(env))


@pytest.mark.parametrize(("text", "seconds"), [("5s", 5), ("1m30s", 90), ("500ms", 0.5), ("2h", 7200), ("10", 10)])
def test_durations_are_those_of_go(text: str, seconds: float) -> None:
    assert sync.seconds(text) == seconds


def test_a_missing_repository_is_named() -> None:
    with pytest.raises(SystemExit, match="set GITSYNC_REPO"):
        sync.settings({})


def test_a_new_server_can_be_followed_at_once(repository: Path, env: dict[str, str]) -> None:
    follower = _follower(repository, env)
    commit = follower.sync()
    link = follower.wanted.root / "repo"
    assert link.readlink().name == commit
    assert [path.name for path in link.iterdir()] == [".git"]


def test_link_follows_every_push_and_two_worktrees_stay(repository: Path, env: dict[str, str]) -> None:
    follower = _follower(repository, env)
    commits = []
    for number in range(4):
        commits.append(_push(repository, "dag.py", str(number)))
        assert follower.sync() == commits[-1]
        assert (follower.wanted.root / "repo" / "dag.py").read_text() == str(number)
        os.utime(follower.wanted.root / ".worktrees" / commits[-1], (number, number))
    assert {path.name for path in (follower.wanted.root / ".worktrees").iterdir()} == set(commits[-2:])
    assert follower.sync() == commits[-1]


def test_a_worktree_that_was_cut_short_is_made_anew(repository: Path, env: dict[str, str]) -> None:
    commit = _push(repository, "dag.py", "whole")
    follower = _follower(repository, env)
    half = follower.wanted.root / ".worktrees" / commit
    half.mkdir(parents=True)
    (half / "dag.py").write_text("ha")
    follower.sync()
    assert (follower.wanted.root / "repo" / "dag.py").read_text() == "whole"


def test_probe_is_refused_before_the_first_sync_and_answered_after(repository: Path, env: dict[str, str]) -> None:
    follower = _follower(repository, env)
    port = sync.serve("127.0.0.1:0", follower.synced)
    with pytest.raises(urllib.error.HTTPError, match="503") as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
    refused.value.close()
    follower.sync()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        assert answer.status == 200


def test_password_is_asked_of_the_environment_and_not_written(tmp_path: Path) -> None:
    found = sync.git_environment({"GITSYNC_USERNAME": "u", "GITSYNC_PASSWORD": "hidden", "TMPDIR": str(tmp_path)})
    script = found["GIT_ASKPASS"]
    asked = subprocess.check_output([script, "Password for 'http://x': "], env=found, text=True)
    assert asked == "hidden"
    assert subprocess.check_output([script, "Username for 'http://x': "], env=found, text=True) == "u"
    assert "hidden" not in Path(script).read_text()


def test_server_keeps_its_repository_and_replaces_half_a_one(tmp_path: Path, env: dict[str, str]) -> None:
    half = tmp_path / ".dags.git.new"
    half.mkdir()
    (half / "HEAD").write_text("nonsense")
    server.make_repository(tmp_path / "dags.git")
    log = subprocess.check_output(["git", "log", "--format=%s %D", "main"], cwd=tmp_path / "dags.git", text=True)
    assert log == "Empty HEAD -> main\n"
    assert not half.exists()


def test_list_of_who_may_push_is_closed_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "username").write_text("u\n")
    (tmp_path / "password").write_text("p")
    monkeypatch.setattr(server, "CREDENTIAL", tmp_path)
    server.write_pushers(tmp_path / "pushers")
    assert (tmp_path / "pushers").read_text() == "u:p\n"
    assert (tmp_path / "pushers").stat().st_mode & 0o777 == 0o600
