"""A Docker engine: the one that runs, or Debian's, started by us and stopped without a trace.

Reads: $DOCKER_HOST and Docker's contexts, by way of the docker command.
Writes: nothing where an engine answers. Else dockerd with its data in `<cache>/docker`, its settings, pid and log in
`<cache>/run`, its sockets in `/run/tidegate-docker`, listening on the default socket, so that docker, kind and skaffold
work unchanged.
Again: an engine that answers is used as it is; one that was killed is started on the same data.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tidegate.cluster import cache, commands, host, programs
from tidegate.cluster.errors import ClusterError, MissingProgram, Unsuitable
from tidegate.cluster.project import AIRGAP
from tidegate.progress import progress

EXEC_ROOT: Final = Path("/run/tidegate-docker")
SOCKET: Final = Path("/var/run/docker.sock")
RUN_FOLDERS: Final = (Path("/run/docker"), Path("/run/containerd"), Path("/run/runc"))
"""What Docker makes besides, wherever its other files lie."""
START_SECONDS: Final = 60
STOP_SECONDS: Final = 90
BUILDKIT_INSIDE: Final = 23
"""The docker command has BuildKit inside below this version; from it on only with the buildx plugin."""
_STARTED: Final[list[subprocess.Popen[bytes]]] = []
"""Handles of engines that outlive this process on purpose; dropping one while it runs is a ResourceWarning."""


@dataclass(frozen=True)
class Engine:
    """An engine that answers."""

    version: str
    """The server's version."""
    ours: bool
    """Whether we started it, and so may stop it."""


def find() -> Engine | None:
    """Return the engine that answers, if one does."""
    command = _any_docker()
    if command is None:
        return None
    try:
        version = commands.output([command, "version", "--format", "{{.Server.Version}}"], timeout=10).strip()
    except ClusterError:
        return None
    return Engine(version=version, ours=_our_pid() is not None)


def ensure() -> Engine:
    """Return a running engine; starts Debian's where none answers. Raises Unsuitable where that cannot be done."""
    if found := find():
        return found
    if obstacle := cannot_start():
        raise Unsuitable(obstacle)
    with cache.lock("engine"):
        if found := find():
            return found
        if not shutil.which("dockerd"):
            with progress.phase("Install Debian's Docker engine"):
                host.install("docker.io")
        with progress.phase("Start a Docker engine"):
            _start()
    if found := find():
        return found
    raise ClusterError(f"the Docker engine was started and does not answer; its log: {_log()}")


def was_started() -> bool:
    """Tell whether we started an engine and have not stopped it; it may have ended since."""
    return _state().exists()


def cannot_start() -> str:
    """Return why no engine can be started here, or an empty text."""
    if os.geteuid() != 0:
        return "no Docker engine answers: start one, or run this as root on Debian, where one is started for you"
    if not shutil.which("dockerd") and not shutil.which("apt-get"):
        return "no Docker engine answers and there is no apt-get to install one: install Docker and start it"
    return ""


def docker() -> str:
    """Return a docker command that builds with BuildKit; `DOCKER_BUILDKIT=1 <it> build` is how to ask for that.

    Debian's docker 20.10 has BuildKit inside, a newer one needs the buildx plugin. Where a command without BuildKit is
    all there is, buildx is built from its Go module and put behind a wrapper of the same name.
    """
    found = [path for path in _on_path("docker") if _answers(path)]
    for path in found:
        if _has_buildkit(path):
            return str(path)
    if not found:
        raise MissingProgram("there is no docker command that the engine answers; install Debian's docker.io")
    return str(_with_buildx(found[0], programs.program("buildx")))


def environment() -> dict[str, str]:
    """Return what programs that call `docker` themselves need in their environment: PATH with the right one first."""
    links = cache.folder("run", "path")
    link = links / "docker"
    wanted = Path(docker())
    if not link.is_symlink() or link.readlink() != wanted:
        fresh = links / f".docker.{os.getpid()}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(wanted)
        fresh.replace(link)
    return {"PATH": f"{links}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


def stop() -> bool:
    """Stop the engine if we started it, and undo what it did to the machine; tells whether there was one.

    Nothing of it runs or listens afterwards; images stay in the cache. Chains, bridges and settings that were there
    before it was started are left as they were.
    """
    state = _state()
    if not state.exists():
        return False
    before = json.loads(state.read_text())
    pid = _our_pid()
    if pid is None and find():
        # ours has ended, and somebody started another
        state.unlink()
        return False
    bridges = _bridges() if pid else []
    host.end([pid] if pid else [], seconds=STOP_SECONDS)
    _end_leftovers()
    host.remove_links([*bridges, *([] if before["docker0"] else ["docker0"])])
    host.remove_docker_rules(forward_policy=before["forward_policy"])
    host.write_sysctl("net/ipv4/ip_forward", before["ip_forward"])
    host.unmount_below(EXEC_ROOT, cache.root() / "docker")
    host.remove_cgroups("docker")
    for folder in (EXEC_ROOT, *(folder for folder in RUN_FOLDERS if str(folder) not in before["folders"])):
        shutil.rmtree(folder, ignore_errors=True)
    SOCKET.unlink(missing_ok=True)
    state.unlink()
    return True


def _any_docker() -> Path | None:
    return next(iter(_on_path("docker")), None)


def _on_path(name: str) -> list[Path]:
    folders = [Path(part) for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if part]
    ours = cache.root() / "run" / "path"
    found = [folder / name for folder in folders if folder != ours and os.access(folder / name, os.X_OK)]
    return list(dict.fromkeys(found))


def _answers(command: Path) -> bool:
    return commands.succeeds([command, "version"], timeout=10)


def _has_buildkit(command: Path) -> bool:
    version = commands.output([command, "version", "--format", "{{.Client.Version}}"], timeout=10)
    return int(version.split(".")[0]) < BUILDKIT_INSIDE or commands.succeeds([command, "buildx", "version"], timeout=10)


def _with_buildx(command: Path, buildx: Path) -> Path:
    script = f'#!/bin/sh\n[ "$1" = build ] && shift && exec {buildx} build --load "$@"\nexec {command} "$@"\n'
    return cache.write(cache.folder("run", "buildx") / "docker", script, mode=0o755)


def _start() -> None:
    state = {
        "docker0": host.has_link("docker0"),
        "folders": [str(folder) for folder in RUN_FOLDERS if folder.exists()],
        "forward_policy": host.forward_policy(),
        "ip_forward": host.read_sysctl("net/ipv4/ip_forward"),
    }
    if not _state().exists():
        cache.write(_state(), json.dumps(state))
    pid_file = cache.folder("run") / "engine.pid"
    _forget_ended(pid_file, "dockerd", str(cache.root()))
    _forget_ended(EXEC_ROOT / "containerd" / "containerd.pid", "containerd", str(EXEC_ROOT))
    settings = cache.write(cache.folder("run") / "daemon.json", json.dumps(_settings(pid_file), indent=2) + "\n")
    with _log().open("ab") as log:
        process = subprocess.Popen(
            ["dockerd", "--config-file", str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    _STARTED.append(process)
    deadline = time.monotonic() + START_SECONDS
    while find() is None:
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(_log().read_text(errors="replace").splitlines()[-commands.TAIL :])
            raise ClusterError(f"dockerd did not come up:\n{tail}\n(all of it: {_log()})")
        time.sleep(0.3)


def _settings(pid_file: Path) -> dict[str, object]:
    settings: dict[str, object] = {
        "data-root": str(cache.folder("docker")),
        "exec-root": str(EXEC_ROOT),
        "pidfile": str(pid_file),
        "hosts": [f"unix://{SOCKET}"],
        "ip": "127.0.0.1",
        "mtu": host.mtu(),
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "2"},
        "builder": {"gc": {"enabled": True, "defaultKeepStorage": "10GB"}},
    }
    if host.lacks_capabilities():
        wrapper = cache.write(cache.folder("run") / "runc-capped", (AIRGAP / "runc-capped").read_bytes(), mode=0o755)
        settings["runtimes"] = {"capped": {"path": str(wrapper)}}
        settings["default-runtime"] = "capped"
    return settings


def _forget_ended(pid_file: Path, *texts: str) -> None:
    """Remove the pid file of a process that is gone: dockerd would take any other process of that number for it."""
    if pid_file.exists() and int(pid_file.read_text().strip() or 0) not in host.processes_naming(*texts):
        pid_file.unlink()


def _state() -> Path:
    return cache.root() / "run" / "engine.json"


def _log() -> Path:
    return cache.folder("run", "logs") / "engine.log"


def _our_pid() -> int | None:
    try:
        pid = int((cache.root() / "run" / "engine.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if b"dockerd" in command and str(cache.root()).encode() in command else None


def _bridges() -> list[str]:
    command = _any_docker()
    only = ["--filter", "driver=bridge", "--filter", "type=custom", "--format", "{{.ID}}"]
    return [f"br-{line}" for line in commands.output([str(command), "network", "ls", *only]).split()]


def _end_leftovers() -> None:
    """End what a killed dockerd left: its containerd and the shims, all of which name our folder."""
    host.end(host.processes_naming("containerd", str(EXEC_ROOT)))
