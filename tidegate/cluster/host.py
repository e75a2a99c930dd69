"""What the engine does to a Linux machine, read and undone: packages, links, firewall rules, mounts, control groups.

Every function that removes is content with nothing to remove.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tidegate.cluster import commands
from tidegate.cluster.errors import ClusterError, Unsuitable

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_MTU: Final = 1500
DOCKER_RULE: Final = re.compile(
    r"\sDOCKER|\bdocker0\b|\bbr-[0-9a-f]{12}\b|-A POSTROUTING -s (?P<own>\S+) -d (?P=own) .*-j MASQUERADE"
)
"""Docker's rules in the chains of others; the last form lets a container reach itself by a published port."""


def install(*packages: str) -> None:
    """Install Debian packages without starting their services; raises Unsuitable where that is impossible."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Unsuitable(f"install {' '.join(packages)}: this needs root and apt-get, and one of them is missing here")
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    commands.run(["apt-get", "update"], log="apt-update", env=quiet)
    commands.run(["apt-get", "install", "-y", "--no-install-recommends", *packages], log="apt-install", env=quiet)


def lacks_capabilities() -> bool:
    """Tell whether the capability bounding set is not full, as in many sandboxes."""
    status = Path("/proc/self/status").read_text()
    bounding = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapBnd"))
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    return bounding != (1 << last + 1) - 1


def mtu() -> int:
    """Return the MTU of the link with the default route, so that packets from containers fit through it."""
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        link, destination = line.split()[:2]
        if destination == "00000000":
            return int(Path(f"/sys/class/net/{link}/mtu").read_text())
    return DEFAULT_MTU


def has_link(name: str) -> bool:
    """Tell whether a network link of that name exists."""
    return Path(f"/sys/class/net/{name}").exists()


def remove_links(names: Iterable[str]) -> None:
    """Delete network links."""
    for name in names:
        if has_link(name):
            commands.output(["ip", "link", "delete", name])


def read_sysctl(name: str) -> str:
    """Return a kernel setting, named as below /proc/sys."""
    return (Path("/proc/sys") / name).read_text().strip()


def write_sysctl(name: str, value: str) -> None:
    """Set a kernel setting, named as below /proc/sys."""
    (Path("/proc/sys") / name).write_text(value)


def forward_policy() -> str:
    """Return what iptables does with forwarded packets by default, ACCEPT or DROP; ACCEPT without iptables."""
    with contextlib.suppress(ClusterError):
        first = commands.output(["iptables", "-S", "FORWARD"]).splitlines()[0]
        return first.split()[-1]
    return "ACCEPT"


def remove_docker_rules(*, forward_policy: str) -> None:
    """Delete the rules and chains that Docker made in iptables and ip6tables, and set the policy it changed back."""
    for family in ("iptables", "ip6tables"):
        with contextlib.suppress(ClusterError):
            saved = commands.output([f"{family}-save"])
            for words in removals(saved):
                commands.succeeds([family, "-w", *words])
    commands.succeeds(["iptables", "-w", "-P", "FORWARD", forward_policy])


def removals(saved: str) -> list[list[str]]:
    """Return the arguments that delete what is Docker's in the output of iptables-save, rules before chains."""
    table, rules, flushes, chains = "", [], [], []
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":DOCKER"):
            chain = line[1:].split()[0]
            flushes.append(["-t", table, "-F", chain])
            chains.append(["-t", table, "-X", chain])
        elif line.startswith("-A") and not line.startswith("-A DOCKER") and DOCKER_RULE.search(line):
            rules.append(["-t", table, "-D", *shlex.split(line)[1:]])
    return [*rules, *flushes, *chains]


def processes_naming(*texts: str) -> list[int]:
    """Return the ids of processes whose command line has every text in it, this one aside; none without /proc."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (folder / "cmdline").read_bytes()
            if int(folder.name) != os.getpid() and all(text.encode() in line for text in texts):
                found.append(int(folder.name))
    return found


def end(processes: Iterable[int], *, seconds: float = 5) -> None:
    """Ask processes to end, and make those end that have not within some seconds."""
    left = list(processes)
    for how in (signal.SIGTERM, signal.SIGKILL):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        deadline = time.monotonic() + seconds
        while (left := [pid for pid in left if runs(pid)]) and time.monotonic() < deadline:
            time.sleep(0.1)


def runs(pid: int) -> bool:
    """Tell whether a process exists and has not ended; one that only waits to be reaped has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def unmount_below(*folders: Path) -> None:
    """Unmount everything mounted below the folders, the deepest first."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in sorted(mounted, key=len, reverse=True):
        if any(Path(place).is_relative_to(folder) for folder in folders):
            commands.succeeds(["umount", "--lazy", place])


def remove_cgroups(name: str) -> None:
    """Remove the empty control groups below every hierarchy's group of that name."""
    root = Path("/sys/fs/cgroup")
    for top in [root / name, *root.glob(f"*/{name}")]:
        for group in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
            with contextlib.suppress(OSError):
                group.rmdir()
        with contextlib.suppress(OSError):
            top.rmdir()
