"""The development cluster: a kind cluster named `tidegate`, made where there is none and made anew where it is broken.

Reads: `k8s/kind.yaml`, the engine. Writes: the cluster, its context `kind-<name>` in the kubeconfig, and
`<cache>/run/cluster-<name>.json`: what `remove` needs to leave the kubeconfig as it was found.
Again: a cluster that answers is used as it is; one whose node stopped is started; one that was cut short while it was
made, or that does not recover, is deleted and made anew.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import yaml

from tidegate.cluster import cache, commands, engine, host, kept_images, kubeconfig, node_image, programs, standins
from tidegate.cluster.errors import ClusterError, CommandFailed
from tidegate.cluster.project import ROOT
from tidegate.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Mode = Literal["stock", "airgap"]
"""`stock`: images come from registries. `airgap`: node and stand-ins are built from package registries."""

NAME: Final = "tidegate"
STOCK_NODE: Final = "kindest/node:v1.34.3"
NETWORK: Final = "kind"
REACH_SECONDS: Final = 5
RECOVER_SECONDS: Final = 60
READY_SECONDS: Final = 300


@dataclass(frozen=True)
class Cluster:
    """A cluster that answers."""

    name: str
    mode: Mode

    @property
    def context(self) -> str:
        """Its context in the kubeconfig."""
        return f"kind-{self.name}"

    @property
    def node(self) -> str:
        """The container that is its node."""
        return f"{self.name}-control-plane"


def mode() -> Mode:
    """Tell how images are to be had: as $TIDEGATE_IMAGES says, else by whether kind's node image can be had in 5 s."""
    asked = os.environ.get("TIDEGATE_IMAGES") or None
    if asked not in {None, "stock", "airgap"}:
        raise ClusterError(f"$TIDEGATE_IMAGES is {asked!r}; want stock or airgap, or unset it to find out")
    if asked is None:
        ask = [engine.docker(), "manifest", "inspect", STOCK_NODE]
        reachable = standins.exists(STOCK_NODE) or commands.succeeds(ask, timeout=REACH_SECONDS)
        asked = "stock" if reachable else "airgap"
    return cast("Mode", asked)


def ensure(*, name: str = NAME, mode: Mode | None = None, refs: Iterable[str] = ()) -> Cluster:
    """Return the cluster of that name, healthy; the engine must run. Nothing is done to one that is healthy already.

    `refs` are images of ours that the node may still have from the cluster before.
    """
    with cache.lock(f"cluster-{name}"):
        cluster = Cluster(name, mode or _mode_of(name) or globals()["mode"]())
        if _exists(cluster):
            if _recovers(cluster):
                return cluster
            with progress.phase(f"Delete the broken cluster {name}"):
                _delete(cluster)
            if _known(name).get("complete"):
                kept_images.begin_anew(name)
        _create(cluster, refs)
        return cluster


def find(*, name: str = NAME) -> Cluster | None:
    """Return the cluster of that name if it answers now."""
    cluster = Cluster(name, _mode_of(name) or "stock")
    return cluster if engine.find() and _exists(cluster) and answers(cluster) else None


def answers(cluster: Cluster) -> bool:
    """Tell whether the API server says that it is ready."""
    return commands.succeeds(_in_node(cluster, "get", "--raw", "/readyz"), timeout=15)


def remove(*, name: str = NAME) -> bool:
    """Delete the cluster, its network if nothing else uses it, its kubeconfig entry; tells whether there was one."""
    cluster = Cluster(name, _mode_of(name) or "stock")
    state = _state(name)
    existed = _exists(cluster)
    if existed or state.exists():
        _delete(cluster)
    if before := _known(name).get("kubeconfig"):
        kubeconfig.restore(kubeconfig.Before(**before))
    _remove_unused_network()
    for left in (state, _settings(name)):
        left.unlink(missing_ok=True)
    return existed


def down(*, name: str = NAME) -> None:
    """Remove all that `ensure` and `engine.ensure` made on this machine; the cache stays.

    That is the cluster with its volumes, its network, its kubeconfig entry, port-forwards into it, containers of a node
    image whose building was cut short, and the engine if we started it.
    """
    host.end(host.processes_naming("port-forward", f"kind-{name}"))
    if engine.find() is None and engine.was_started():
        engine.ensure()
    if engine.find():
        remove(name=name)
        node_image.remove_leftovers()
    engine.stop()


def configuration(text: str, *, name: str, mode: Mode, kept: Path | None = None) -> str:
    """Return kind's configuration for a cluster: the file's text and its name; airgapped, without kind's own CNI.

    `kept` is a folder for what the node keeps of images, instead of one that goes with the node.
    """
    settings = yaml.safe_load(text)
    settings["name"] = name
    if mode == "airgap":
        settings["networking"]["disableDefaultCNI"] = True
    if kept:
        settings["nodes"][0]["extraMounts"] = [{"hostPath": str(kept), "containerPath": kept_images.INSIDE}]
    return str(yaml.safe_dump(settings, sort_keys=False))


def _create(cluster: Cluster, refs: Iterable[str]) -> None:
    image = node_image.ensure() if cluster.mode == "airgap" else STOCK_NODE
    kept = kept_images.ready(cluster.name, image, refs=refs) if cluster.mode == "airgap" else None
    text = configuration((ROOT / "k8s" / "kind.yaml").read_text(), name=cluster.name, mode=cluster.mode, kept=kept)
    settings = cache.write(_settings(cluster.name), text)
    _remember(cluster)
    with progress.phase(f"Create the cluster {cluster.name} ({image})"):
        command: list[str | Path] = ["create", "cluster", "--config", settings, "--image", image, "--wait", "3m"]
        try:
            _kind(*command, log=f"kind-create-{cluster.name}")
        except CommandFailed:
            _delete(cluster)
            kept_images.begin_anew(cluster.name)
            raise
    with progress.phase("Wait until the cluster's own pods are ready"):
        _wait_ready(cluster)
    _remember(cluster, complete=True)


def _wait_ready(cluster: Cluster) -> None:
    until = ["--for=condition=Available", f"--timeout={READY_SECONDS}s"]
    wait = _in_node(cluster, "wait", "deployment", "--all", "--all-namespaces", *until)
    try:
        commands.run(wait, log=f"cluster-ready-{cluster.name}")
    except CommandFailed as error:
        pods = commands.output(_in_node(cluster, "get", "pods", "-A", "-o", "wide"))
        raise ClusterError(f"the cluster's own pods are not ready after {READY_SECONDS} s:\n{pods}") from error


def _recovers(cluster: Cluster) -> bool:
    """Tell whether a cluster that exists answers, if need be after its node was started anew; not one cut short."""
    known = _known(cluster.name)
    if known and not known.get("complete"):
        return False
    for remedy in ("start", "restart"):
        commands.succeeds([engine.docker(), remedy, cluster.node])
        deadline = time.monotonic() + RECOVER_SECONDS
        while time.monotonic() < deadline:
            if answers(cluster):
                _ensure_context(cluster)
                return True
            time.sleep(1)
    return False


def _ensure_context(cluster: Cluster) -> None:
    """Write the context again where it is gone, or where the node came back with another port."""
    wanted = commands.output([*_kind_command(), "get", "kubeconfig", "--name", cluster.name], env=engine.environment())
    server = yaml.safe_load(wanted)["clusters"][0]["cluster"]
    if kubeconfig.clusters(kubeconfig.path()).get(cluster.context) != server:
        _kind("export", "kubeconfig", "--name", cluster.name, log="kind-kubeconfig")


def _in_node(cluster: Cluster, *words: str) -> list[str]:
    """Return a kubectl command that runs in the node, so that none is needed here."""
    inside = ["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", *words]
    return [engine.docker(), "exec", cluster.node, *inside]


def _kind_command() -> list[str]:
    return [str(programs.program("kind"))]


def _kind(*words: str | Path, log: str) -> None:
    commands.run([*_kind_command(), *words], log=log, env=engine.environment())


def _exists(cluster: Cluster) -> bool:
    return commands.succeeds([engine.docker(), "inspect", "--type", "container", cluster.node])


def _delete(cluster: Cluster) -> None:
    _kind("delete", "cluster", "--name", cluster.name, log=f"kind-delete-{cluster.name}")


def _remove_unused_network() -> None:
    docker = engine.docker()
    shape = "{{len .Containers}}"
    try:
        users = commands.output([docker, "network", "inspect", NETWORK, "--format", shape]).strip()
    except CommandFailed:
        return
    if users == "0":
        commands.succeeds([docker, "network", "rm", NETWORK])


def _state(name: str) -> Path:
    return cache.folder("run") / f"cluster-{name}.json"


def _settings(name: str) -> Path:
    return cache.folder("run") / f"kind-{name}.yaml"


def _known(name: str) -> dict[str, Any]:
    state = _state(name)
    found: dict[str, Any] = json.loads(state.read_text()) if state.exists() else {}
    return found


def _mode_of(name: str) -> Mode | None:
    found: Mode | None = _known(name).get("mode")
    return found


def _remember(cluster: Cluster, *, complete: bool = False) -> None:
    before = _known(cluster.name).get("kubeconfig") or kubeconfig.look().to_json()
    known = {"mode": cluster.mode, "complete": complete, "kubeconfig": before}
    cache.write(_state(cluster.name), json.dumps(known, indent=2) + "\n")
