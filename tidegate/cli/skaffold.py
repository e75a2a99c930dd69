"""What `skaffold.yaml` calls: our builder and loader in the place of `docker build` and `kind load`.

Reads: what skaffold puts into the environment (https://skaffold.dev/docs/builders/builder-types/custom/ and
https://skaffold.dev/docs/lifecycle-hooks/), the checkout. Writes: the image under skaffold's name in the engine, in a
registry or in the nodes of a kind cluster; the image of the step's next pod; the pipelines on the git server.
Again: what is there is left alone. helm's upgrade, which skaffold starts after it, gives the same names.
"""

from __future__ import annotations

import os

from tidegate.cli import dev, live_steps
from tidegate.cli.fault import Fault
from tidegate.cli.git_push import push_dags
from tidegate.cli.kubectl import Kubectl
from tidegate.cluster import cache, commands, engine, images, kind, standins
from tidegate.cluster.errors import ClusterError
from tidegate.cluster.programs import program
from tidegate.cluster.project import ROOT
from tidegate.progress import console


def build() -> None:
    """Build the image that `$IMAGE` names, and push it where `$PUSH_IMAGE` says so.

    Where it is not pushed, the kind cluster gets it layer by layer and its step's next pod runs it, before helm's
    upgrade does the same for everything. Where that cannot be, as there is no cluster or no release yet, it is left
    to the deployment.
    """
    wanted = _set("IMAGE")
    name = _name(wanted)
    if name == "base" and kind.mode() == "airgap":
        standins.ensure("python")
    ref = images.build(only=[name])[name]
    commands.output([engine.docker(), "tag", ref, wanted])
    if os.environ.get("PUSH_IMAGE") == "true":
        images.push([wanted])
        return
    try:
        _make_live(name, wanted)
    except ClusterError as fault:
        console.print(f"{name}: not in the cluster yet: {fault}", markup=False, soft_wrap=True)


def _make_live(name: str, built: str) -> None:
    context = _context()
    if not context.startswith(dev.KIND):
        return
    ref = _by_id(built)
    images.load([ref], cluster=context.removeprefix(dev.KIND))
    kubectl = Kubectl(context)
    if live_steps.exists(kubectl) and live_steps.set_images(kubectl, {name: ref}):
        console.print(f"{name}: its next pod runs {ref}", markup=False, soft_wrap=True)


def load() -> None:
    """Bring every image into the kind cluster under the name that helm is about to be given.

    Those that skaffold finds in its own cache are not built, so nothing has brought them. Where the cluster is not
    kind's, its nodes pull.
    """
    context = _context()
    if not context.startswith(dev.KIND):
        return
    refs = [_by_id(ref) for ref in images.build().values()]
    images.load(refs, cluster=context.removeprefix(dev.KIND))


def dags() -> None:
    """Push the pipelines where there is a git server to push them to.

    One that does not answer stops nothing: the deployment that comes next may mend it, and pushes again.
    """
    context = _context()
    if not live_steps.exists(Kubectl(context)):
        return
    try:
        commit = push_dags(Kubectl(context), ROOT / "dags")
    except ClusterError as fault:
        console.print(f"pipelines: not pushed: {fault}", markup=False, soft_wrap=True)
    else:
        console.print(f"pipelines: commit {commit[:12]}" if commit else "pipelines: nothing has changed")


def _context() -> str:
    """The context that skaffold works in: it tells only the hooks of its deployments.

    Else the one of its last deployment; before the first one that which kubectl uses.
    """
    kept = cache.root() / "run" / "skaffold-context"
    if told := os.environ.get("SKAFFOLD_KUBE_CONTEXT"):
        cache.write(kept, told)
        return told
    if kept.exists():
        return kept.read_text(encoding="utf-8")
    return commands.output([program("kubectl"), "config", "current-context"]).strip()


def _by_id(built: str) -> str:
    """The name that skaffold gives an image which is not pushed: its id is the tag (`build.TagWithImageID`)."""
    image = commands.output([engine.docker(), "image", "inspect", "--format", "{{.Id}}", built]).strip()
    ref = f"{built.rpartition(':')[0]}:{image.removeprefix('sha256:')}"
    commands.output([engine.docker(), "tag", built, ref])
    return ref


def _name(ref: str) -> str:
    """Name of the image in `skaffold.yaml`: the last part of its repository."""
    return ref.rpartition("/")[2].partition("@")[0].partition(":")[0]


def _set(name: str) -> str:
    if value := os.environ.get(name):
        return value
    msg = f"${name} is not set; this is called by skaffold, from skaffold.yaml"
    raise Fault(msg)
