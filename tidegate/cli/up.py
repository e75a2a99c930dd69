"""`tidegate up`: from nothing to pipelines that have run.

Reads: the checkout, the machine, a CSV where one is given. Writes: a cluster (or the release in a context that was
named), images, the release, the DAGs, runs; `build/times/up.json` with the time of every phase.
Again: each phase finds what an earlier call made, also one that was killed, and does only what is missing or changed.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

from tidegate.cli import live_steps, objects, pods, release, runs, state
from tidegate.cli.airflow_api import Airflow, airflow
from tidegate.cli.fault import Fault
from tidegate.cli.git_push import push_dags
from tidegate.cli.kubectl import Kubectl
from tidegate.cli.scaffold import checkout
from tidegate.cluster import chart, doctor, engine, images, kind, standins
from tidegate.cluster.errors import ClusterError
from tidegate.cluster.project import ROOT
from tidegate.progress import console, progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from concurrent.futures import Future
    from pathlib import Path

DEMOS = ("hello", "people", "petrol", "weather")
"""The pipelines that `up` runs."""
MODES = {
    "official": f"  Airflow is installed by the official chart {chart.VERSION}",
    "standalone": (
        "[bold yellow]  No copy of the official Airflow chart can be had, so Airflow runs in ONE POD (standalone).\n"
        f"  To change that: make up AIRFLOW_CHART=path/to/airflow-{chart.VERSION}.tgz[/bold yellow]"
    ),
}
"""What is said about each way of installing Airflow."""
EARLY_SECONDS = 300
"""For the git server, which is among the first to be ready."""
TIMES = ROOT / "build" / "times" / "up.json"


@dataclass(frozen=True)
class Wish:
    """What the caller asked for; the defaults make a kind cluster on this machine."""

    context: str | None = None
    registry: str | None = None
    airflow_chart: Path | None = None
    csv: Path | None = None
    cluster_only: bool = False
    runs: bool = True
    """Whether the demo pipelines run once it is installed."""

    def check(self) -> None:
        """Refuse what cannot work, before anything is begun."""
        if bool(self.context) != bool(self.registry):
            msg = "--context and --registry go together: the cluster pulls its images from that registry"
            raise Fault(msg)
        for name, path in (("--airflow-chart", self.airflow_chart), ("--csv", self.csv)):
            if path is not None and not path.is_file():
                msg = f"{name} is {str(path)!r}, which is no file"
                raise Fault(msg)


def up(wish: Wish) -> list[runs.Ran]:
    """Do all of it; the tasks that ran, of every pipeline. Raises `ClusterError` with what to change."""
    wish.check()
    try:
        if wish.context:
            return _pipelines(_answering(wish.context), wish, refs=_pushed(str(wish.registry)))
        _engine()
        if wish.cluster_only:
            kind.ensure(refs=images.references().values())
            return []
        with ExitStack() as stack:
            refs, arriving = _cluster_with_images(stack)
            return _pipelines(Kubectl(state.KIND_CONTEXT), wish, refs=refs, arriving=arriving)
    finally:
        progress.write(TIMES)


def _pipelines(
    kubectl: Kubectl, wish: Wish, *, refs: Mapping[str, str], arriving: Future[list[str]] | None = None
) -> list[runs.Ran]:
    """Install, push, run; `arriving` are images that no pod of the platform itself needs."""
    _install(kubectl, wish, refs=refs)
    with progress.phase("Push the pipelines to the git server"):
        push_dags(kubectl, ROOT / "dags")
    if wish.csv:
        with progress.phase(f"Upload {wish.csv.name}"):
            upload(kubectl, wish.csv)
    if arriving:
        with progress.phase("Wait for the images of steps"):
            arriving.result()
    return _demos(kubectl) if wish.runs else []


def _answering(context: str) -> Kubectl:
    """A context that was named; raises `CommandFailed` if it does not answer."""
    kubectl = Kubectl(context)
    kubectl.text("version", "--output", "json", timeout=20)
    return kubectl


def _engine() -> None:
    with progress.phase("Check this machine"):
        doctor.require()
    engine.ensure()


def _cluster_with_images(stack: ExitStack) -> tuple[dict[str, str], Future[list[str]]]:
    """Our own cluster with what the platform needs; the images of steps arrive while it is installed.

    Returns image name -> reference, and what the steps' images are loaded by.
    """
    beside = stack.enter_context(ThreadPoolExecutor(1))
    cluster = kind.ensure(refs=images.references().values())
    if cluster.mode == "airgap":
        standins.ensure()
    refs = images.build()
    platform, steps = _halves(refs)
    load = partial(images.load, cluster=cluster.name)
    load([*platform, *(standins.IN_CLUSTER if cluster.mode == "airgap" else ())])
    return refs, beside.submit(load, steps)


def _halves(refs: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """References that the platform's own pods need, and those that only steps do; `hello` makes the bucket too."""
    of_steps = [name for name in checkout.steps(ROOT) if name != "hello"]
    return [ref for name, ref in refs.items() if name not in of_steps], [refs[name] for name in of_steps]


def _pushed(registry: str) -> dict[str, str]:
    """Every image of ours in the registry; those of others are pulled by the cluster itself."""
    engine.ensure()
    if kind.mode() == "airgap":
        standins.ensure("python")
    refs = images.build(registry=registry)
    images.push(refs.values())
    return refs


def _install(kubectl: Kubectl, wish: Wish, *, refs: Mapping[str, str]) -> None:
    found, mode = chart.find_airflow_chart(wish.airflow_chart)
    console.print(MODES[mode])
    state.write(context=kubectl.context, registry=wish.registry or "", mode=mode)
    over = Event()
    with progress.phase("Install Tidegate, and wait until it is ready"), ThreadPoolExecutor(1) as beside:
        if release.status(kubectl).get("status") != "deployed":
            beside.submit(_push_early, kubectl, over)
        try:
            changed = release.install(kubectl, chart=chart.stage(found), refs=refs)
        finally:
            over.set()
        if not changed and not live_steps.set_images(kubectl, release.steps(refs)):
            console.print("  nothing has changed since it was installed")


def _push_early(kubectl: Kubectl, over: Event) -> None:
    """Push the pipelines as soon as the git server answers, so that a new Airflow finds them when it starts.

    What goes wrong here is left to the push that follows; nothing is waited for once the installation is `over`.
    """

    def ready() -> bool:
        return over.is_set() or _git_server_ready(kubectl)

    with suppress(ClusterError):
        runs.until(ready, seconds=EARLY_SECONDS, what="the git server", state=str)
        if not over.is_set():
            push_dags(kubectl, ROOT / "dags")


def _git_server_ready(kubectl: Kubectl) -> bool:
    found = kubectl.items("pods", "--field-selector", "metadata.name=git-server-0")
    return bool(found) and not pods.unready(found)


def upload(kubectl: Kubectl, csv: Path) -> None:
    """Make `csv` what the pipeline `petrol` trains on."""
    with objects.object_store(kubectl) as store:
        if not objects.replace(store, objects.PETROL_KEY, csv.read_bytes(), media="text/csv"):
            console.print("  it is there already")


def _demos(kubectl: Kubectl) -> list[runs.Ran]:
    """Run every demo pipeline once; raises `Fault` with the failing task's log."""
    with airflow(kubectl) as api:
        with progress.phase("Wait until Airflow has read the pipelines"):
            _wait_visible(api, DEMOS)
        with progress.phase("Run the pipelines"):
            started = [_start(api, dag_id) for dag_id in DEMOS]
            states = runs.wait(api, started)
        failed = [run for run, end in states.items() if end != "success"]
        if failed:
            raise Fault("\n".join(runs.failure(api, run) for run in failed))
        return [task for run in started for task in runs.ran(api, run)]


def _wait_visible(api: Airflow, dag_ids: Iterable[str]) -> None:
    for dag_id in dag_ids:
        runs.wait_visible(api, dag_id, source=(ROOT / "dags" / f"{dag_id}.py").read_text(encoding="utf-8"))


def _start(api: Airflow, dag_id: str) -> runs.Run:
    """A run without a logical date, as somebody pressing the button makes one."""
    api.unpause(dag_id)
    return runs.Run(dag_id, api.trigger(dag_id, run_id=f"up__{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}+00:00"))
