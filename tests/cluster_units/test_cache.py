"""What is built is kept by content, is complete or not there, and is built once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tidegate.cluster import cache

if TYPE_CHECKING:
    from pathlib import Path


def test_explicit_folder_goes_before_xdg_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "own"))
    assert cache.root() == tmp_path / "own"
    monkeypatch.delenv("TIDEGATE_CACHE")
    assert cache.root() == tmp_path / "xdg" / "tidegate"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.root() == tmp_path / "home" / ".cache" / "tidegate"


def test_fingerprint_sees_name_content_mode_and_order(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("x")
    seen = {cache.fingerprint(file)}
    file.chmod(0o755)
    seen.add(cache.fingerprint(file))
    file.write_text("y")
    seen.add(cache.fingerprint(file))
    seen.add(cache.fingerprint(tmp_path))
    file.rename(tmp_path / "b")
    seen |= {
        cache.fingerprint(tmp_path),
        cache.fingerprint("a", "b"),
        cache.fingerprint("b", "a"),
        cache.fingerprint("ab"),
    }
    assert len(seen) == 8
    assert cache.fingerprint(tmp_path) == cache.fingerprint(tmp_path)


def test_entry_is_built_once_even_by_two_at_a_time(own_cache: Path) -> None:
    built: list[Path] = []
    started = threading.Event()

    def build(folder: Path) -> None:
        built.append(folder)
        started.set()
        threading.Event().wait(0.2)
        (folder / "file").write_text("x")

    others = [threading.Thread(target=cache.entry, args=("bin", "k", build)) for _ in range(3)]
    for other in others:
        other.start()
    assert started.wait(5)
    path = cache.entry("bin", "k", build)
    for other in others:
        other.join()
    assert len(built) == 1
    assert (path / "file").read_text() == "x"
    assert path == own_cache / "bin" / "k"


def test_failed_build_leaves_nothing_and_can_be_done_again(own_cache: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        cache.entry("bin", "k", fails)
    assert cache.find("bin", "k") is None
    assert list((own_cache / "bin").iterdir()) == []
    assert cache.entry("bin", "k", lambda folder: (folder / "file").touch()).is_dir()


def test_leftover_of_a_killed_build_is_removed_by_the_next(own_cache: Path) -> None:
    left = own_cache / "bin" / ".partial-k~123-456"
    left.mkdir(parents=True)
    (left / "half").write_text("x")
    cache.entry("bin", "k", lambda folder: (folder / "file").touch())
    assert [path.name for path in (own_cache / "bin").iterdir()] == ["k"]


def test_scratch_is_empty_and_gone_afterwards(own_cache: Path) -> None:
    left = own_cache / "scratch" / "node~1-1"
    left.mkdir(parents=True)
    with cache.scratch("node") as folder:
        assert list(folder.iterdir()) == []
        assert not left.exists()
        (folder / "file").touch()
    assert list((own_cache / "scratch").iterdir()) == []


def test_write_replaces_the_whole_file_with_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "sub" / "file"
    cache.write(target, "one", mode=0o600)
    cache.write(target, b"two", mode=0o755)
    assert target.read_bytes() == b"two"
    assert target.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in target.parent.iterdir()] == ["file"]
