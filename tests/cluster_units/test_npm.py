"""A tree of npm packages is named by its lock file, and holds what programs read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.cluster import commands, npm

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_key_changes_with_the_lock(tmp_path: Path) -> None:
    for name in npm.FILES:
        (tmp_path / name).write_text("{}")
    before = npm.key(tmp_path)
    assert npm.key(tmp_path) == before
    (tmp_path / "package-lock.json").write_text('{"lockfileVersion": 3}')
    assert npm.key(tmp_path) != before


def test_what_no_program_reads_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in npm.FILES:
        (tmp_path / name).write_text("{}")

    def install(words: list[str], *, log: str, cwd: Path) -> None:
        assert words[:2] == ["npm", "ci"]
        assert (cwd / "package-lock.json").is_file()
        for name in ("a/index.js", "a/index.js.map", "a/types.d.ts", "a/README.md", "a/LICENSE"):
            path = cwd / "node_modules" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")

    monkeypatch.setattr(commands, "run", install)
    monkeypatch.setattr(npm.shutil, "which", lambda name: name)
    tree = npm.tree(tmp_path)
    assert sorted(path.name for path in tree.rglob("*") if path.is_file()) == ["LICENSE", "index.js"]
