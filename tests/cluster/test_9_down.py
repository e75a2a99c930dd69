"""`tidegate down` leaves the machine as it was before `up`, but for the cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.commands import tidegate
from tests.cluster.conftest import ROOT, traces

if TYPE_CHECKING:
    from tests.cluster.conftest import Installed


def is_ours(trace: str) -> bool:
    """Whether a trace on a machine that others use too is one of `up`."""
    elsewhere = not trace.startswith((str(ROOT), str(Path.home())))
    return elsewhere and (trace.startswith("process ") or "tidegate" in trace)


def test_nothing_is_left_but_the_cache(may_take_down: None, installed: Installed) -> None:
    done = tidegate("down", seconds=600)
    assert done.returncode == 0, done.stderr
    left = traces() - installed.before if installed.ours else {one for one in traces() if is_ours(one)}
    assert left == set()
    assert list(installed.scratch.iterdir()) == []


def test_down_again_is_no_fault(may_take_down: None, installed: Installed) -> None:
    assert tidegate("down", seconds=120).returncode == 0
