"""A real cluster, made or brought up to date by `tidegate up` itself, and real handles on it.

Nothing here is a double. A cluster that was running before stays; one that was made for these tests is taken down by
the last of them, which checks that nothing is left (`TIDEGATE_TEST_DOWN=1` has it do so in any case).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.commands import MAKING, killed_up, tidegate
from tidegate.cli import state
from tidegate.cli.airflow_api import Airflow, airflow
from tidegate.cli.kubectl import Kubectl
from tidegate.cli.objects import object_store
from tidegate.cli.state import KIND_CONTEXT
from tidegate.cluster import cache, commands, engine
from tidegate.cluster.errors import ClusterError
from tidegate.sample import petrol_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
SHARED_CSV = ROOT.parent / "shared" / "data" / "petrol_consumption.csv"
"""The table of the tutorial, where it lies beside the checkout; otherwise the sample is used."""


OURS = ("tidegate", "kind", "docker", "containerd", "runc", "kube", "helm")
"""What is in the names of files that `up`, or a program it starts, would leave in a shared folder."""


def is_running() -> bool:
    """Whether our kind cluster answers."""
    try:
        Kubectl(KIND_CONTEXT).text("get", "nodes", timeout=15)
    except ClusterError:
        return False
    return True


def traces() -> set[str]:
    """What is on this machine of ours: processes, links, and files where `up` could leave some outside the cache.

    Of `/tmp`, which is everybody's, only what is named like ours; `up` gets a folder of its own for what is temporary.
    """
    folders = [Path.home(), Path.home() / ".kube", Path.home() / ".docker", Path("/run"), ROOT]
    files = {str(path) for folder in folders if folder.is_dir() for path in folder.iterdir()}
    files |= {str(path) for path in Path("/tmp").iterdir() if any(name in path.name for name in OURS)}  # noqa: S108
    links = {f"link {path.name}" for path in Path("/sys/class/net").iterdir()}
    ours = [str(cache.root()).encode(), b"kind-tidegate", b"tidegate-control-plane"]
    processes = {f"process {name}" for name, line in commands_running() if any(word in line for word in ours)}
    return {trace for trace in files | links | processes if "pytest" not in trace} | docker_objects()


def commands_running() -> Iterator[tuple[str, bytes]]:
    """Name and command line of every process but this one."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int(folder.name) != os.getpid():
                yield (folder / "comm").read_text().strip(), (folder / "cmdline").read_bytes()
        except OSError:  # it has just ended
            continue


def docker_objects() -> set[str]:
    """Containers, volumes and networks, if an engine runs."""
    if engine.find() is None:
        return set()
    kinds = {"container": ["ls", "--all"], "volume": ["ls"], "network": ["ls"]}
    said = {kind: commands.output([engine.docker(), kind, *words, "--quiet"]) for kind, words in kinds.items()}
    return {f"{kind} {name}" for kind, text in said.items() for name in text.split()}


@dataclass(frozen=True)
class Installed:
    """What `tidegate up` said, and on what it trained."""

    ours: bool
    """Whether the cluster was made for these tests."""
    csv: Path
    said: str
    up: tuple[str, ...]
    """The call that brought it here."""
    killed: str
    """What an earlier call said until it was killed; empty where the cluster was there already."""
    before: frozenset[str]
    """What was on the machine before, as `traces` tells it."""
    scratch: Path
    """What `up` and every other program of these tests took for the folder of temporary files."""


@pytest.fixture(scope="session")
def installed(
    tmp_path_factory: pytest.TempPathFactory, record_testsuite_property: Callable[[str, object], None]
) -> Installed:
    """`tidegate up --csv`, green; where there is no cluster yet, after a first call was killed while it made one."""
    folder = tmp_path_factory.mktemp("up")
    ours, before = not is_running(), frozenset(traces())
    scratch = tmp_path_factory.mktemp("scratch")
    os.environ["TMPDIR"] = str(scratch)
    csv = SHARED_CSV if SHARED_CSV.is_file() else folder / "petrol_sample.csv"
    if not csv.is_file():
        csv.write_bytes(petrol_csv())
    chart = os.environ.get("AIRFLOW_CHART", "")
    up = ("up", "--csv", str(csv), *(["--airflow-chart", chart] if chart else []))
    killed = killed_up(up, MAKING, folder / "killed.log") if ours else ""
    done = tidegate(*up)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    record_testsuite_property("airflow", state.airflow_by())
    return Installed(ours, csv, done.stdout + done.stderr, up, killed, before, scratch)


@pytest.fixture(scope="session")
def kubectl(installed: Installed) -> Kubectl:
    """The cluster."""
    return Kubectl(KIND_CONTEXT)


@pytest.fixture(scope="session")
def api(kubectl: Kubectl) -> Iterator[Airflow]:
    """Its Airflow."""
    with airflow(kubectl) as found:
        yield found


@pytest.fixture(scope="session")
def store(kubectl: Kubectl) -> Iterator[Any]:
    """Its object store: a boto3 client."""
    with object_store(kubectl) as found:
        yield found


@pytest.fixture(scope="session")
def may_take_down(installed: Installed) -> None:
    """Skips where the cluster is somebody's."""
    if not installed.ours and os.environ.get("TIDEGATE_TEST_DOWN") != "1":
        pytest.skip("optional: the cluster was running before these tests; TIDEGATE_TEST_DOWN=1 takes it down")
