"""From an edit of a step to the first pod that runs it: by `tidegate dev`, and by hand.

An edit changes one line of a step's module, in a copy of the checkout. A `tidegate dev` that watches the copy brings it
into the cluster; or `tidegate dev --once` does; or what a person would type: `docker build`, `kind load docker-image`,
and the image's name patched into the ConfigMap `tidegate-steps`, out of which every step takes its image. Then a pod of
that image is made, by the Kubernetes client and not by Airflow, whose scheduler would add its own seconds to each; the
line that was edited is in its log, or the benchmark fails. The ways take turns, each with an edit of its own.

Writes: the ConfigMap, which is set back; images in the engine and the node, and pods, which are removed.
"""

from __future__ import annotations

import copy as copies
import json
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.bench import bare, figures, hops, idle
from tests.bench.builds import timed
from tests.bench.step_overhead import turned
from tests.bench.throwaway import BASE
from tests.cluster import kills
from tidegate.cli.kubectl import STEPS_NAMESPACE
from tidegate.cluster import commands, engine, images, kind, layers, programs
from tidegate.progress import console

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.setting import Setting
    from tests.bench.throwaway import Copy

WATCHING, ONCE, HAND = "`tidegate dev`, watching", "`tidegate dev --once`", "by hand"
EDITED = {"hello": "jobs/hello.py", "train_model": "jobs/train_model/__init__.py"}
"""Step -> the module that is edited: the smallest image, and the largest one of a step."""
READY, POD, BOTH = "ready", "pod", "both"
GOAL = 10.0
"""Seconds from the edit to the pod, at the median."""
POD_SECONDS = 120.0
BROUGHT_SECONDS = 300.0
CTR = ("ctr", "--namespace=k8s.io", "images")
LOOK_SECONDS = 0.05
"""Between two looks at the ConfigMap."""

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
            _dev_once(at, copy)  # what the checkout has changed since `up` counts for none
            found[step] = _step(at, copy, step, rounds)
            copy.restore(file)
    return found


def _step(at: Setting, copy: Copy, step: str, rounds: int) -> Samples:
    samples: Samples = {what: {way: [] for way in WAYS} for what in (READY, POD, BOTH)}
    for number in range(rounds):
        for way in turned(tuple(WAYS), number):
            ready, pod = _round(at, copy, step, way)
            for what, seconds in ((READY, ready), (POD, pod), (BOTH, ready + pod)):
                samples[what][way].append(seconds)
            console.print(f"  {step}, {way}: {ready:.1f} s, then {pod:.1f} s to the pod", markup=False)
    return samples


def _round(at: Setting, copy: Copy, step: str, way: str) -> tuple[float, float]:
    """Seconds from an edit until the ConfigMap names an image that the node has, and from there to a pod's first line.

    The node forgets the image afterwards: each round begins with the same ones there.
    """
    copy.restore(EDITED[step])
    try:
        mark, ready = WAYS[way](at, copy, step)
    finally:
        copy.made.add(copy.references()[step])
    image = _image(at, step)
    try:
        return ready, _pod(at, image, mark)
    finally:
        _forget(image)


def _forget(ref: str) -> None:
    """Have the node forget an image; its own layers go with it. (A node of ours has no crictl.)"""
    kills.in_node(*CTR, "rm", *names(kills.in_node(*CTR, "ls"), layers.containerd_name(ref)))


def names(listing: str, name: str) -> list[str]:
    """All names of the image that containerd keeps under `name`: it has one by its id, too."""
    digests = {line.split()[0]: line.split()[2] for line in listing.splitlines()[1:]}
    return [other for other, digest in digests.items() if digest == digests[name]]


def _watched(at: Setting, copy: Copy, step: str) -> tuple[str, float]:
    with copy.running("dev", "--context", at.kubectl.context, until="watching "):
        before, mark = _image(at, step), copy.edit(EDITED[step])
        return mark, timed(lambda: _wait_for_another(at, step, before))


def _wait_for_another(at: Setting, step: str, before: str) -> None:
    deadline = time.monotonic() + BROUGHT_SECONDS
    while _image(at, step) == before:
        if time.monotonic() > deadline:
            raise AssertionError(f"{BROUGHT_SECONDS:.0f} s after an edit the ConfigMap still names {before}")
        time.sleep(LOOK_SECONDS)


def _typed(at: Setting, copy: Copy, step: str) -> tuple[str, float]:
    before, mark = _image(at, step), copy.edit(EDITED[step])
    seconds = timed(lambda: _dev_once(at, copy))
    if _image(at, step) == before:
        raise AssertionError(f"after an edit and {ONCE} the ConfigMap still names {before}")
    return mark, seconds


def _dev_once(at: Setting, copy: Copy) -> None:
    copy.tidegate("dev", "--once", "--context", at.kubectl.context)


def _by_hand(at: Setting, copy: Copy, step: str) -> tuple[str, float]:
    image = next(one for one in images.listed(copy.root) if one.name == step)
    base, mark = copy.references()[BASE], copy.edit(EDITED[step])
    return mark, timed(lambda: _load_by_hand(at, step, copy.docker_build(image, base=base)))


def _load_by_hand(at: Setting, step: str, ref: str) -> None:
    load: list[str] = [str(programs.program("kind")), "load", "docker-image", ref, f"--name={kind.NAME}"]
    commands.run(load, log="bench-load", env=engine.environment())
    idle.patch(at.kubectl, with_image(_config(at), step, ref))


WAYS: dict[str, Callable[[Setting, Copy, str], tuple[str, float]]] = {
    WATCHING: _watched,
    ONCE: _typed,
    HAND: _by_hand,
}
"""Way -> what edits a step and brings it: the text that the edit has put there, and the seconds it took."""


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
    found: idle.Config = at.pods.read_namespaced_config_map(idle.CONFIG_MAP, STEPS_NAMESPACE, _request_timeout=60).data
    return found


def _image(at: Setting, step: str) -> str:
    return str(json.loads(_config(at)[step])["image"])


def show(found: dict[str, Samples]) -> str:
    """The part of the report."""
    if not found:
        return "From an edit to a pod: not measured, for images cannot be loaded into a cluster that is not of kind."
    rows = [
        [step, way, *(figures.spread(samples[what][way]) for what in samples), f"{_middle(samples, way, of=HAND):.2f}"]
        for step, samples in found.items()
        for way in WAYS
    ]
    headings = ["step", "way", "until an image is in the node and the ConfigMap", "until its pod's first line", "both"]
    return "\n\n".join(
        [
            "From an edit of one line of a step's module to the first pod that runs it, in seconds: min / median / max."
            " By hand: `docker build`, `kind load docker-image`, and the image's name patched into the ConfigMap"
            " `tidegate-steps`. The pod is a bare one, made when that is done; a scheduler would add its own seconds.",
            figures.table([*headings, "of that by hand"], rows),
            f"Goal: at most {GOAL:.0f} s at the median. {'; '.join(_verdict(found, way) for way in (WATCHING, ONCE))}.",
        ]
    )


def _middle(samples: Samples, way: str, *, of: str = "") -> float:
    """Median from the edit to the pod, in seconds or as a share of another way's."""
    middle = figures.spread(samples[BOTH][way]).middle
    return middle / figures.spread(samples[BOTH][of]).middle if of else middle


def _verdict(found: dict[str, Samples], way: str) -> str:
    middles = {step: _middle(samples, way) for step, samples in found.items()}
    told = ", ".join(f"{step} {x:.1f} s, {'met' if x <= GOAL else 'not met'}" for step, x in middles.items())
    return f"{way}: {told}"
