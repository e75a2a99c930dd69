"""How long images take to build: by `tidegate images build`, and by a plain `docker build` of the same Dockerfile.

Cold: the root of all images has a layer that was never built, so no layer above it is in Docker's cache (packages that
pip has downloaded before are, in a cache of its own that the Dockerfiles mount); the root and the image are built.
Edit: one line of a module has changed. Warm: nothing has. The whole command is timed, Python's start included. The ways
take turns; what one of them has built is new to the other, as each has an edit of its own.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.bench import figures
from tests.bench.step_overhead import turned
from tests.bench.throwaway import BASE, DOCKERFILE, Copy
from tidegate.cluster import images
from tidegate.progress import console

if TYPE_CHECKING:
    from collections.abc import Callable

OURS, PLAIN = "tidegate images build", "docker build"
WAYS = (OURS, PLAIN)
COLD, EDIT, WARM = "cold", "one line edited", "nothing changed"
EDITED = {
    "hello": "jobs/hello.py",
    "train_model": "jobs/train_model/__init__.py",
    "airflow": "tidegate/airflow/__init__.py",
}
"""Image -> module of it that is edited: the smallest step, the largest one, and Airflow."""
ALL = "all of them"

Times = dict[str, list[float]]
"""Way -> seconds, round by round."""


def measure(copy: Copy, *, rounds: int) -> dict[str, dict[str, Times]]:
    """Image -> state -> times; the engine has all images of the copy before."""
    found = {name: _one(copy, name, file, rounds) for name, file in EDITED.items()}
    copy.restore("skaffold.yaml")
    return {**found, ALL: {WARM: _warm(ALL, rounds, lambda way: _all(copy, way))}}


def _one(copy: Copy, name: str, file: str, rounds: int) -> dict[str, Times]:
    copy.only([BASE, name])
    cold = _turns(name, COLD, 1, lambda way: _cold(copy, name, way))
    copy.restore(DOCKERFILE)
    warm = _warm(name, rounds, lambda way: _again(copy, name, way))
    edited = _turns(name, EDIT, rounds, lambda way: _edited(copy, name, file, way))
    copy.restore(file)
    return {COLD: cold, EDIT: edited, WARM: warm}


def _warm(name: str, rounds: int, build: Callable[[str], float]) -> Times:
    """After a build that does not count: what is in no cache yet is there then."""
    for way in WAYS:
        build(way)
    return _turns(name, WARM, rounds, build)


def _turns(name: str, state: str, rounds: int, build: Callable[[str], float]) -> Times:
    times: Times = {way: [] for way in WAYS}
    for number in range(rounds):
        for way in turned(WAYS, number):
            times[way].append(build(way))
            console.print(f"  {name}, {state}, {way}: {times[way][-1]:.1f} s", markup=False)
    return times


def _cold(copy: Copy, name: str, way: str) -> float:
    copy.edit_base()
    if way == OURS:
        return _ours(copy)
    base, image = (_image(copy, one) for one in (BASE, name))
    return timed(lambda: copy.docker_build(image, base=copy.docker_build(base)))


def _edited(copy: Copy, name: str, file: str, way: str) -> float:
    copy.edit(file)
    return _again(copy, name, way)


def _again(copy: Copy, name: str, way: str) -> float:
    if way == OURS:
        return _ours(copy)
    image, base = _image(copy, name), copy.references()[BASE]
    return timed(lambda: copy.docker_build(image, base=base))


def _all(copy: Copy, way: str) -> float:
    if way == OURS:
        return _ours(copy)
    base = copy.references()[BASE]
    return timed(lambda: [copy.docker_build(image, base=base) for image in images.listed(copy.root)])


def _ours(copy: Copy) -> float:
    copy.note()
    return timed(lambda: copy.tidegate("images", "build"))


def _image(copy: Copy, name: str) -> images.Image:
    return next(one for one in images.listed(copy.root) if one.name == name)


def timed(act: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.monotonic()
    act()
    return time.monotonic() - start


def show(found: dict[str, dict[str, Times]]) -> str:
    """The part of the report."""
    rows = [
        [name, state, *(figures.spread(times[way]) for way in WAYS), ratio(times, of=PLAIN)]
        for name, states in found.items()
        for state, times in states.items()
    ]
    return "\n\n".join(
        [
            "Times to build, in seconds: min / median / max. Cold: no layer of it in Docker's cache, once each way;"
            " the packages that pip has downloaded stay. The ways take turns, each with an edit of its own.",
            figures.table(["image", "state", *(f"`{way}`" for way in WAYS), "ratio"], rows),
        ]
    )


def ratio(times: dict[str, Any], *, of: str) -> str:
    """The medians of the first way by those of `of`."""
    first = next(iter(times))
    return f"{figures.spread(times[first]).middle / figures.spread(times[of]).middle:.2f}"
