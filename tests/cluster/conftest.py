"""A real cluster, made or brought up to date by `tidegate up` itself, and real handles on it.

Nothing here is a double. A cluster that was running before stays; one that was made for these tests is taken down by
the last of them, which checks that nothing is left (`TIDEGATE_TEST_DOWN=1` has it do so in any case).
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import bad_input, book, effects, failures, security, shapes
from tests.cluster.acts import DAG_IDS, Acts
from tests.cluster.commands import INSTALLING, MAKING, RUNNING, killed_up, tidegate
from tests.cluster.counted import forget_below
from tests.cluster.pushed import accounts, push
from tests.cluster.scenes import NAME, At
from tests.cluster.timeline import Timeline
from tidegate.cli import release, state
from tidegate.cli.airflow_api import Airflow, airflow
from tidegate.cli.kubectl import STEPS_NAMESPACE, Kubectl
from tidegate.cli.objects import object_store
from tidegate.cli.state import KIND_CONTEXT
from tidegate.cli.step_pods import OURS
from tidegate.cluster import cache, commands, engine, kind
from tidegate.cluster.errors import ClusterError
from tidegate.sample import petrol_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
SHARED_CSV = ROOT.parent / "shared" / "data" / "petrol_consumption.csv"
"""The table of the tutorial, where it lies beside the checkout; otherwise the sample is used."""


THREADS = 32
"""More than there are acts: each waits in one."""
NAMES = ("tidegate", "kind", "docker", "containerd", "runc", "kube", "helm")
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
    files |= {str(path) for path in Path("/tmp").iterdir() if any(name in path.name for name in NAMES)}  # noqa: S108
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
    killed: Mapping[str, str]
    """Phase -> what a call said until it was killed there; not `MAKING` where the cluster was there already."""
    before: frozenset[str]
    """What was on the machine before, as `traces` tells it."""
    scratch: Path
    """What `up` and every other program of these tests took for the folder of temporary files."""


def killed_ups(up: Sequence[str], folder: Path, *, ours: bool) -> dict[str, str]:
    """Phase -> what a call said that was killed there; each call goes on from what the one before left."""
    kubectl, killed = Kubectl(KIND_CONTEXT), {}
    if ours:
        killed[MAKING] = killed_up(up, MAKING, folder / "making.log", when=has_node)
    else:
        leave_pending(kubectl)
    killed[INSTALLING] = killed_up(up, INSTALLING, folder / "installing.log", when=lambda: is_pending(kubectl))
    killed[RUNNING] = killed_up(up, RUNNING, folder / "running.log")
    return killed


def has_node() -> bool:
    """Whether the container is there that the cluster's node is."""
    return commands.succeeds([engine.docker(), "inspect", "--type=container", kind.Cluster(kind.NAME, "stock").node])


def is_pending(kubectl: Kubectl) -> bool:
    """Whether helm is at it, or was when it was killed."""
    return release.status(kubectl).get("status", "").startswith("pending")


def leave_pending(kubectl: Kubectl) -> None:
    """Put a release that is installed already into the state in which a helm leaves it that is killed."""
    newest = max(
        kubectl.items("secrets", "--selector", f"owner=helm,name={release.NAME}"),
        key=lambda secret: int(secret["metadata"]["labels"]["version"]),
    )
    pending = release.restated(newest, status="pending-upgrade", description="Preparing upgrade")
    kubectl.text("replace", "--filename", "-", stdin=json.dumps(pending))


@pytest.fixture(scope="session")
def installed(
    tmp_path_factory: pytest.TempPathFactory, record_testsuite_property: Callable[[str, object], None]
) -> Installed:
    """`tidegate up --csv`, green after calls that were killed; the first of them made a cluster if there was none."""
    folder = tmp_path_factory.mktemp("up")
    ours, before = not is_running(), frozenset(traces())
    scratch = tmp_path_factory.mktemp("scratch")
    os.environ["TMPDIR"] = str(scratch)
    csv = SHARED_CSV if SHARED_CSV.is_file() else folder / "petrol_sample.csv"
    if not csv.is_file():
        csv.write_bytes(petrol_csv())
    chart = os.environ.get("AIRFLOW_CHART", "")
    up = ("up", "--csv", str(csv), *(["--airflow-chart", chart] if chart else []))
    killed = killed_ups(up, folder, ours=ours)
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
def opened() -> Iterator[ExitStack]:
    """What is closed before the cluster is taken down, or after the last test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def at(kubectl: Kubectl, api: Airflow, opened: ExitStack) -> At:
    """The cluster, and what is watched of it."""
    api.dag_ids()  # signs in, before threads would at once
    ledger = opened.enter_context(book.opened(kubectl))
    return At(kubectl, api, ledger, opened.enter_context(Timeline(kubectl, STEPS_NAMESPACE, OURS)))


@pytest.fixture(scope="session")
def acts(at: At, store: Any, opened: ExitStack) -> Acts:
    """All that is played, begun."""
    opened.callback(push, at.kubectl, {})
    for folder in (f"{effects.PREFIX}/{NAME}", bad_input.FOLDER, security.FOLDER, shapes.FOLDER):
        opened.callback(forget_below, store, folder)
    opened.enter_context(accounts(at.kubectl, *DAG_IDS))
    opened.enter_context(failures.steps(at.kubectl))
    return Acts(at, store, opened.enter_context(ThreadPoolExecutor(THREADS)))


@pytest.fixture(scope="session")
def may_take_down(installed: Installed, opened: ExitStack) -> None:
    """Skips where the cluster is somebody's."""
    if not installed.ours and os.environ.get("TIDEGATE_TEST_DOWN") != "1":
        pytest.skip("optional: the cluster was running before these tests; TIDEGATE_TEST_DOWN=1 takes it down")
    opened.close()
