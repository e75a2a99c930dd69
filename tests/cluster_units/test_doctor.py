"""The doctor says what is missing and what to do, quickly."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tidegate.cluster import doctor, engine
from tidegate.cluster.errors import Unsuitable

if TYPE_CHECKING:
    from pathlib import Path


def test_too_little_says_how_much_and_what_to_do() -> None:
    check = doctor.enough("disk", 3.25, least=20, advice="make room")
    assert (check.ok, check.found, check.wanted, check.advice) == (False, "3.2 GiB", "20 GiB or more", "make room")
    assert doctor.enough("disk", 20, least=20, advice="").ok


def test_control_groups_of_both_versions_are_known(tmp_path: Path) -> None:
    assert doctor._cgroups(tmp_path).ok is False
    for name in ("cpu", "cpuset", "memory"):
        (tmp_path / name).mkdir()
    half = doctor._cgroups(tmp_path)
    assert (half.ok, half.found) == (False, "version 1 without pids")
    (tmp_path / "pids").mkdir()
    assert doctor._cgroups(tmp_path).ok
    other = tmp_path / "unified"
    other.mkdir()
    (other / "cgroup.controllers").touch()
    assert doctor._cgroups(other).found == "version 2"


def test_a_taken_port_is_noted_but_not_fatal() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        check = doctor._port(taken.getsockname()[1])
    assert (check.ok, check.fatal) == (False, False)


def test_require_names_every_fatal_fault_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        doctor.Check("engine", ok=False, found="none", wanted="one", advice="start one"),
        doctor.Check("processors", ok=False, found="1", wanted="2", advice="wait", fatal=False),
        doctor.Check("disk", ok=False, found="1 GiB", wanted="20 GiB", advice="make room"),
    ]
    monkeypatch.setattr(doctor, "checks", lambda: found)
    with pytest.raises(Unsuitable) as caught:
        doctor.require()
    text = str(caught.value)
    assert "engine: found none, want one; start one" in text
    assert "make room" in text
    assert "processors" not in text
    monkeypatch.setattr(doctor, "checks", lambda: found[1:2])
    doctor.require()


def test_an_address_that_nobody_listens_on_is_said_so() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert doctor._answers(f"http://127.0.0.1:{port}/") != ""


def test_without_an_engine_and_rights_the_machine_is_unsuitable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find", lambda: None)
    monkeypatch.setattr(engine.os, "geteuid", lambda: 1000)
    with pytest.raises(Unsuitable, match="run this as root on Debian"):
        engine.ensure()
    check = doctor._engine(None)
    assert (check.ok, check.fatal) == (False, True)
    assert "start one" in check.advice
