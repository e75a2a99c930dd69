"""Keeps a link to the newest commit of a branch, as git-sync v4 does, for the part of it that Airflow's chart uses.

Reads: GITSYNC_REPO, GITSYNC_REF (HEAD), GITSYNC_DEPTH (1), GITSYNC_ROOT (/git), GITSYNC_LINK (repo),
GITSYNC_PERIOD (10s), GITSYNC_SYNC_TIMEOUT (120s), GITSYNC_ONE_TIME (false),
GITSYNC_MAX_FAILURES (0; negative: no limit), GITSYNC_HTTP_BIND (none), GITSYNC_USERNAME,
GITSYNC_PASSWORD, GITSYNC_PASSWORD_FILE, GITSYNC_SSH_KEY_FILE, GITSYNC_SSH_KNOWN_HOSTS (true),
GITSYNC_SSH_KNOWN_HOSTS_FILE.
Writes: `<root>/.worktrees/<commit>`, and `<root>/<link>` that points to the newest, switched in one rename.
Serves: 200 on `/` once the first sync is done, 503 before.
Again: where the link points to the newest commit nothing happens; of older worktrees only the last one stays.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
KEEP = 2
ASKPASS = """#!/bin/sh
case "$1" in
    Username*) printf %s "$GITSYNC_USERNAME" ;;
    *) printf %s "$GITSYNC_PASSWORD" ;;
esac
"""


@dataclass(frozen=True)
class Settings:
    """What to follow, and where to put it."""

    repo: str
    ref: str
    depth: int
    root: Path
    link: str
    period: float
    timeout: float
    one_time: bool
    max_failures: int
    bind: str


def seconds(text: str) -> float:
    """Return the seconds of a Go duration (`1m30s`, `500ms`) or a plain number."""
    parts = re.findall(r"([\d.]+)(ms|s|m|h)", text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * UNITS[unit] for number, unit in parts)
    return float(text)


def settings(env: dict[str, str]) -> Settings:
    """Return the settings in an environment; exits naming the variable that is missing."""
    if not env.get("GITSYNC_REPO"):
        sys.exit("set GITSYNC_REPO to the repository to follow")
    return Settings(
        repo=env["GITSYNC_REPO"],
        ref=env.get("GITSYNC_REF") or "HEAD",
        depth=int(env.get("GITSYNC_DEPTH") or 1),
        root=Path(env.get("GITSYNC_ROOT") or "/git"),
        link=env.get("GITSYNC_LINK") or "repo",
        period=seconds(env.get("GITSYNC_PERIOD") or "10s"),
        timeout=seconds(env.get("GITSYNC_SYNC_TIMEOUT") or "120s"),
        one_time=(env.get("GITSYNC_ONE_TIME") or "false").lower() == "true",
        max_failures=int(env.get("GITSYNC_MAX_FAILURES") or 0),
        bind=env.get("GITSYNC_HTTP_BIND") or "",
    )


def git_environment(env: dict[str, str]) -> dict[str, str]:
    """Return the environment for git; credentials are asked of the environment, never written down."""
    found = {**env, "GIT_TERMINAL_PROMPT": "0"}
    if file := env.get("GITSYNC_PASSWORD_FILE"):
        found["GITSYNC_PASSWORD"] = Path(file).read_text().strip()
    if found.get("GITSYNC_PASSWORD"):
        askpass = Path(tempfile.mkdtemp()) / "askpass"
        askpass.write_text(ASKPASS)
        askpass.chmod(0o700)
        found["GIT_ASKPASS"] = str(askpass)
    if key := env.get("GITSYNC_SSH_KEY_FILE"):
        strict = "yes" if (env.get("GITSYNC_SSH_KNOWN_HOSTS") or "true").lower() == "true" else "no"
        hosts = env.get("GITSYNC_SSH_KNOWN_HOSTS_FILE") or "/etc/git-secret/known_hosts"
        found["GIT_SSH_COMMAND"] = f"ssh -i {key} -o StrictHostKeyChecking={strict} -o UserKnownHostsFile={hosts}"
    return found


class Follower:
    """Follows one branch of one repository."""

    def __init__(self, wanted: Settings, env: dict[str, str]) -> None:
        self.wanted, self.env = wanted, env
        self.synced = threading.Event()

    def git(self, *words: str) -> str:
        """Run git in the root; raises CalledProcessError or TimeoutExpired."""
        done = subprocess.run(
            ["git", *words],
            cwd=self.wanted.root,
            env=self.env,
            check=True,
            capture_output=True,
            text=True,
            timeout=self.wanted.timeout,
        )
        return done.stdout.strip()

    def sync(self) -> str:
        """Bring the link to the newest commit; returns that commit."""
        if not (self.wanted.root / ".git").is_dir():
            self.git("init", "--quiet", ".")
        depth = ["--depth", str(self.wanted.depth)] if self.wanted.depth > 0 else []
        self.git("fetch", "--quiet", "--prune", *depth, self.wanted.repo, self.wanted.ref)
        commit = self.git("rev-parse", "FETCH_HEAD^{commit}")
        place = Path(".worktrees") / commit
        link = self.wanted.root / self.wanted.link
        if not (link.is_symlink() and link.readlink() == place and link.is_dir()):
            self.switch(place, commit)
            say(f"{self.wanted.ref} of {self.wanted.repo} is now {commit}")
        self.synced.set()
        return commit

    def switch(self, place: Path, commit: str) -> None:
        """Check a commit out beside the others, then point the link to it in one step."""
        shutil.rmtree(self.wanted.root / place, ignore_errors=True)
        self.git("worktree", "prune")
        self.git("worktree", "add", "--force", "--detach", str(place), commit)
        fresh = self.wanted.root / f".{self.wanted.link}.next"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(place)
        fresh.replace(self.wanted.root / self.wanted.link)
        self.remove_old(keep=place.name)

    def remove_old(self, *, keep: str) -> None:
        """Remove worktrees that nobody reads any more; the last but one stays, for who is in the midst of it."""
        trees = self.wanted.root / ".worktrees"
        folders = sorted(trees.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for folder in [path for path in folders if path.name != keep][KEEP - 1 :]:
            shutil.rmtree(folder, ignore_errors=True)
        self.git("worktree", "prune")


def serve(bind: str, ready: threading.Event) -> int:
    """Answer probes in the background; returns the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if ready.is_set() else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Probes are not worth a line."""

    host, _, port = bind.rpartition(":")
    server = ThreadingHTTPServer((host or "0.0.0.0", int(port)), Handler)  # noqa: S104 (a pod's port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def say(line: str) -> None:
    """Write a line to the container's log."""
    sys.stderr.write(f"{line}\n")


def said(error: Exception) -> str:
    """Return what git said, in one line."""
    text = getattr(error, "stderr", "") or str(error)
    return " ".join(str(text).split())


def main() -> int:
    """Follow until told to stop; returns the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    wanted = settings(dict(os.environ))
    wanted.root.mkdir(parents=True, exist_ok=True)
    follower = Follower(wanted, git_environment(dict(os.environ)))
    if wanted.bind and not wanted.one_time:
        serve(wanted.bind, follower.synced)
    failures = 0
    while True:
        try:
            follower.sync()
            failures = 0
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
            failures += 1
            say(f"sync failed ({failures}): {said(error)}")
            if 0 <= wanted.max_failures < failures:
                return 1
        if wanted.one_time and not failures:
            return 0
        time.sleep(wanted.period)


if __name__ == "__main__":
    sys.exit(main())
