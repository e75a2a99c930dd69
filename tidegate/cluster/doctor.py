"""Whether this machine can do what `up` will ask of it, found out in less than 10 s and without changing anything.

Reads: the machine, the engine, and whether registries and mirrors answer. Writes: nothing.
A fatal check that is not ok means that `up` cannot work; any other is worth knowing. Advice says what to change.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tidegate.cluster import cache, commands, debian, engine, kind, node_image, programs, standins
from tidegate.cluster.errors import ClusterError, CommandFailed, Unsuitable

GIB: Final = 1 << 30
MEMORY_GIB: Final = 6
DISK_GIB: Final = 20
CACHED_DISK_GIB: Final = 5
"""Enough once everything is built."""
PROCESSORS: Final = 2
UI_PORT: Final = 8080
ANSWER_SECONDS: Final = 4
PROBE: Final = """
import sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(urllib.request.Request(sys.argv[1], method="HEAD")).close()
except urllib.error.HTTPError:
    pass
except OSError as error:
    print(sys.argv[1] + ":", getattr(error, "reason", error))
"""
"""Prints what is wrong with an address."""
CONTROLLERS: Final = ("cpu", "cpuset", "memory", "pids")
NAMESPACES: Final = ("cgroup", "ipc", "mnt", "net", "pid", "uts")


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str
    """What there is."""
    wanted: str
    """What there should be."""
    advice: str = ""
    """What to change where it is not ok."""
    fatal: bool = True
    """Whether nothing can work without it."""


def require() -> None:
    """Raise Unsuitable with everything fatal that is missing, each with what to do about it."""
    faults = [check for check in checks() if check.fatal and not check.ok]
    if faults:
        lines = [f"- {check.name}: found {check.found}, want {check.wanted}; {check.advice}" for check in faults]
        raise Unsuitable("this machine lacks what a cluster needs:\n" + "\n".join(lines))


def checks() -> list[Check]:
    """Return every check, made now; those that wait for an answer wait side by side."""
    running = engine.find()
    with ThreadPoolExecutor() as pool:
        images = pool.submit(_images, running)
        registry = pool.submit(_mirrors)
        local = [_engine(running), _processors(), _memory(), _disk(), _port(UI_PORT)]
        if running is None:
            local += [_overlay(), _cgroups(), _namespaces(), _filters()]
        mode, found = images.result()
        sources = registry.result() if mode == "airgap" and not _built() else []
    return [*local, found, *(_builders() if mode == "airgap" else []), *sources]


def _engine(running: engine.Engine | None) -> Check:
    wanted = "a running Docker engine, or root on Debian to start one"
    if running:
        return Check("engine", ok=True, found=f"Docker {running.version}", wanted=wanted)
    obstacle = engine.cannot_start()
    return Check(
        "engine",
        ok=not obstacle,
        found="none runs" + ("" if obstacle else ", one can be started"),
        wanted=wanted,
        advice=obstacle,
    )


def _processors() -> Check:
    count = os.cpu_count() or 1
    return Check(
        "processors",
        ok=count >= PROCESSORS,
        found=str(count),
        wanted=f"{PROCESSORS} or more",
        advice="expect everything to take longer, and probes to fail",
        fatal=False,
    )


def _memory() -> Check:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    return enough(
        "memory",
        total,
        least=MEMORY_GIB,
        advice="give the machine more memory, or use another cluster: make up CONTEXT=...",
    )


def _disk() -> Check:
    place = cache.root()
    least = CACHED_DISK_GIB if _built() else DISK_GIB
    advice = f"make room where {place} lies, or set $TIDEGATE_CACHE to a folder on a larger disk"
    return enough("disk", shutil.disk_usage(place).free / GIB, least=least, advice=advice)


def enough(name: str, have: float, *, least: float, advice: str) -> Check:
    """Return a check of an amount in GiB."""
    return Check(name, ok=have >= least, found=f"{have:.1f} GiB", wanted=f"{least:g} GiB or more", advice=advice)


def _port(port: int) -> Check:
    with socket.socket() as probe:
        # a port that only waits for late packets is free to listen on
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            free, found = False, error.strerror or str(error)
        else:
            free, found = True, "free"
    advice = "`tidegate ui` will need another port"
    return Check(f"port {port}", ok=free, found=found, wanted="free, for the UI", advice=advice, fatal=False)


def _overlay() -> Check:
    known = "overlay" in Path("/proc/filesystems").read_text().split() or commands.succeeds(
        ["modprobe", "--dry-run", "overlay"]
    )
    return _kernel("overlay", ok=known, wanted="a kernel with overlayfs")


def _cgroups(root: Path = Path("/sys/fs/cgroup")) -> Check:
    wanted = f"version 2, or version 1 with {', '.join(CONTROLLERS)}"
    if (root / "cgroup.controllers").exists():
        return _kernel("control groups", ok=True, found="version 2", wanted=wanted)
    missing = [name for name in CONTROLLERS if not (root / name).is_dir()]
    found = f"version 1 without {', '.join(missing)}" if missing else "version 1"
    return _kernel("control groups", ok=not missing, found=found, wanted=wanted)


def _namespaces() -> Check:
    missing = [name for name in NAMESPACES if not Path(f"/proc/self/ns/{name}").exists()]
    return _kernel(
        "namespaces",
        ok=not missing,
        found=f"no {', '.join(missing)}" if missing else "all",
        wanted=", ".join(NAMESPACES),
    )


def _filters() -> Check:
    if shutil.which("iptables") is None:
        return _kernel(
            "iptables", ok=True, found="not installed, comes with the engine", wanted="rules for addresses (nat)"
        )
    works = commands.succeeds(["iptables", "-t", "nat", "-S"], timeout=5)
    return _kernel(
        "iptables",
        ok=works,
        found="works" if works else "cannot read the table nat",
        wanted="rules for addresses (nat)",
    )


def _kernel(name: str, *, ok: bool, wanted: str, found: str = "") -> Check:
    advice = (
        "an engine cannot be started on this kernel or with these rights: use a virtual machine, or make up CONTEXT=..."
    )
    return Check(name, ok=ok, found=found or ("yes" if ok else "no"), wanted=wanted, advice=advice)


def _images(running: engine.Engine | None) -> tuple[kind.Mode, Check]:
    """Tell how images will be had; where no engine runs yet that is only a guess."""
    wanted = "image registries, or package registries to build from"
    if running is None:
        return "airgap", Check("images", ok=True, found="found out once an engine runs", wanted=wanted)
    try:
        mode = kind.mode()
    except ClusterError as error:
        return "airgap", Check("images", ok=False, found=str(error), wanted=wanted, advice="see what was found")
    found = {"stock": "from image registries", "airgap": "no registry answers: built from package registries"}[mode]
    return mode, Check("images", ok=True, found=found, wanted=wanted)


def _built() -> bool:
    """Tell whether the long part of the work without registries has been done."""
    return all(cache.find("bin", programs.key(name)) for name in ("kube-apiserver", "containerd", "etcd", "kind"))


def _rooted() -> bool:
    """Tell whether the Debian roots have been made."""
    wanted = ((node_image.SUITE, node_image.PACKAGES), (standins.SUITE, ()))
    try:
        return all(cache.find("roots", debian.key(suite, packages)) for suite, packages in wanted)
    except ClusterError:
        return False


def _builders() -> list[Check]:
    """Return whether what builds a node is here: Go, a Debian root's maker, and the right to use it."""
    go = programs.go_on_path()
    found = f"{go}" if go else "none new enough: taken from PyPI"
    bootstrap = shutil.which("mmdebstrap") or shutil.which("apt-get")
    root = os.geteuid() == 0
    return [
        Check("Go", ok=True, found=found, wanted=f"{'.'.join(map(str, programs.GO_AT_LEAST))} or newer"),
        Check(
            "Debian roots",
            ok=_rooted() or (root and bootstrap is not None),
            found="made before"
            if _rooted()
            else f"{bootstrap or 'no mmdebstrap, no apt-get'}, {'' if root else 'not '}root",
            wanted="root, and mmdebstrap or apt-get to install it",
            advice="run as root on Debian, or where the image registries can be reached",
        ),
        Check(
            "architecture",
            ok=platform.machine() in {"x86_64", "aarch64"},
            found=platform.machine(),
            wanted="x86_64 or aarch64",
            advice="use another cluster: make up CONTEXT=...",
        ),
    ]


def _mirrors() -> list[Check]:
    """Return whether what is built from can be reached."""
    places = {"Go modules": programs.proxy(), "Debian": _debian()}
    with ThreadPoolExecutor() as pool:
        answers = {name: pool.submit(_answers, url) for name, url in places.items() if url}
    advice = "connect this machine to its package mirrors, or to image registries"
    return [
        Check(name, ok=said.result() == "", found=said.result() or "answers", wanted="an answer", advice=advice)
        for name, said in answers.items()
    ]


def _debian() -> str:
    try:
        return f"{debian.machine_mirror().archive}/dists/{node_image.SUITE}/InRelease"
    except ClusterError:
        return ""


def _answers(url: str) -> str:
    """Return what is wrong with an address, or an empty text; any answer of a server is one.

    Asked by a process of its own, since looking up a name cannot be cut short within one.
    """
    try:
        return commands.output([sys.executable, "-c", PROBE, url], timeout=ANSWER_SECONDS).strip()
    except CommandFailed:
        return f"{url}: no answer within {ANSWER_SECONDS} s"
