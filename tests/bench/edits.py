"""From an edit of a step to the first pod that runs it: by `tidegate dev`, and by hand.

An edit changes one line of a step's module, in a copy of the checkout. Then either `tidegate dev --once` is run there,
or what a person would type: `docker build`, `kind load docker-image`, and the image's name patched into the ConfigMap
`tidegate-steps`, out of which every step takes its image. At once a pod of that image is made, by the Kubernetes client
and not by Airflow, whose scheduler would add its own seconds to both; the line that was edited is in its log, or the
benchmark fails. The ways take turns, each with an edit of its own.

Writes: the ConfigMap, which is set back; images in the engine and the node, and pods, which are removed.
"""

from __future__ import annotations

import copy as copies
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.bench import bare, figures, hops, idle
from tests.bench.builds import ratio, timed
from tests.bench.step_overhead import turned
from tests.bench.throwaway import BASE
from tests.cluster import kills
from tidegate.cli.kubectl import STEPS_NAMESPACE
from tidegate.cluster import commands, engine, images, kind, programs
from tidegate.progress import console

if TYPE_CHECKING:
    from tests.bench.setting import Setting
    from tests.bench.throwaway import Copy

DEV = ("dev", "--once")
OURS, HAND = " ".join(["tidegate", *DEV]), "by hand"
WAYS = (OURS, HAND)
EDITED = {"hello": "jobs/hello.py", "train_model": "jobs/train_model/__init__.py"}
"""Step -> the module that is edited: the smallest image, and the largest one of a step."""
READY, POD, BOTH = "ready", "pod", "both"
GOAL = 10.0
"""Seconds from the edit to the pod, at the median."""
POD_SECONDS = 120.0

Samples = dict[str, dict[str, list[float]]]
"""What is measured -> way -> seconds, round by round."""


def measure(at: Setting, copy: Copy, *, rounds: int) -> dict[str, Samples]:
    """Step -> samples; nothing where the cluster is none of this machine's, for images cannot be loaded there.

    The engine has all images of the copy before.
    """
    if not kills.reachable(at.kubectl):
        return {}
    found = {}
    for step, file in EDITED.items():
        with idle.held(at.kubectl, lambda config: config):
            copy.tidegate(*DEV)  # what the checkout has changed since `up` counts for neither
            found[step] = _step(at, copy, step, rounds)
            copy.restore(file)
    return found


def _step(at: Setting, copy: Copy, step: str, rounds: int) -> Samples:
    samples: Samples = {what: {way: [] for way in WAYS} for what in (READY, POD, BOTH)}
    for number in range(rounds):
        for way in turned(WAYS, number):
            ready, pod = _once(at, copy, step, way)
            for what, seconds in ((READY, ready), (POD, pod), (BOTH, ready + pod)):
                samples[what][way].append(seconds)
            console.print(f"  {step}, {way}: {ready:.1f} s, then {pod:.1f} s to the pod", markup=False)
    return samples


def _once(at: Setting, copy: Copy, step: str, way: str) -> tuple[float, float]:
    """Seconds from an edit until the ConfigMap names an image that the node has, and from there to a pod's first line.

    The node forgets the image afterwards: each round begins with the same ones there.
    """
    before, mark = _image_now(at, step), copy.edit(EDITED[step])
    copy.note()
    ready = timed(lambda: copy.tidegate(*DEV) if way == OURS else _by_hand(at, copy, step))
    after = _image_now(at, step)
    if after == before:
        raise AssertionError(f"{way}: after an edit of {EDITED[step]} the ConfigMap still names {before}")
    try:
        return ready, _pod(at, after, mark)
    finally:
        kills.in_node("crictl", "rmi", after)


def _by_hand(at: Setting, copy: Copy, step: str) -> None:
    image = next(one for one in images.listed(copy.root) if one.name == step)
    ref = copy.docker_build(image, base=copy.references()[BASE])
    load: list[str] = [str(programs.program("kind")), "load", "docker-image", ref, f"--name={kind.NAME}"]
    commands.run(load, log="bench-load", env=engine.environment())
    idle.patch(at.kubectl, with_image(_config(at), step, ref))


def with_image(config: idle.Config, step: str, ref: str) -> idle.Config:
    """The part of the ConfigMap that changes where a step gets another image."""
    return {step: json.dumps(json.loads(config[step]) | {"image": ref})}


def _pod(at: Setting, ref: str, mark: str) -> float:
    """Seconds from the request for a pod to its first line; the line that was edited is one of those it prints."""
    with bare.batch(at.kubectl, at.pods, explaining(at.pod, ref), count=1, seconds=POD_SECONDS) as one:
        where = ("--namespace", STEPS_NAMESPACE, "--timestamps")
        log = at.kubectl.text("logs", one.names[0], *where)
        if mark not in log:
            raise AssertionError(f"a pod of {ref} does not know of the edit {mark}; it says:\n{log}")
        return (datetime.fromisoformat(hops.cut(log.split(maxsplit=1)[0])) - one.start).total_seconds()


def explaining(pod: dict[str, Any], ref: str) -> dict[str, Any]:
    """The same pod with another image, which only says what its step is for: that takes no store and no data."""
    made = copies.deepcopy(pod)
    made["spec"]["containers"][0] |= {"image": ref, "args": ["--help"]}
    return made


def _config(at: Setting) -> idle.Config:
    found: idle.Config = at.kubectl.read("configmap", idle.CONFIG_MAP, namespace=STEPS_NAMESPACE)["data"]
    return found


def _image_now(at: Setting, step: str) -> str:
    return str(json.loads(_config(at)[step])["image"])


def show(found: dict[str, Samples]) -> str:
    """The part of the report."""
    if not found:
        return "From an edit to a pod: not measured, for images cannot be loaded into a cluster that is not of kind."
    rows = [
        [step, f"`{way}`" if way == OURS else way, *(figures.spread(samples[what][way]) for what in samples), share]
        for step, samples in found.items()
        for way, share in zip(WAYS, (ratio(samples[BOTH], of=HAND), ""), strict=True)
    ]
    headings = ["step", "way", "until an image is in the node and the ConfigMap", "until its pod's first line", "both"]
    middles = {step: figures.spread(samples[BOTH][OURS]).middle for step, samples in found.items()}
    told = ", ".join(f"{step} {x:.1f} s: {'met' if x <= GOAL else 'not met'}" for step, x in middles.items())
    return "\n\n".join(
        [
            "From an edit of one line of a step's module to the first pod that runs it, in seconds: min / median / max."
            " By hand: `docker build`, `kind load docker-image`, and the image's name patched into the ConfigMap"
            " `tidegate-steps`. The pod is a bare one, made when that is done; a scheduler would add its own seconds.",
            figures.table([*headings, "ratio"], rows),
            f"Goal: at most {GOAL:.0f} s at the median. {told}.",
        ]
    )
