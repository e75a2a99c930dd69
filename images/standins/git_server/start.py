"""Starts the git server.

Reads: the files `username` and `password` in /etc/git-server, $GIT_ROOT (/git), $GIT_REPOSITORY (dags.git).
Writes: a bare repository with one empty commit on `main`, if there is none; the list of who may push, in /tmp.
Again: a repository that is there is served as it is; one whose making was cut short is made anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

CREDENTIAL = Path("/etc/git-server")
CONFIGURATION = Path(__file__).with_name("lighttpd.conf")
AUTHOR = {"GIT_AUTHOR_NAME": "Tidegate", "GIT_AUTHOR_EMAIL": "tidegate@localhost"}
COMMITTER = {"GIT_COMMITTER_NAME": "Tidegate", "GIT_COMMITTER_EMAIL": "tidegate@localhost"}


def git(*words: str, cwd: Path) -> str:
    """Run git; its complaints go to this program's error output."""
    env = {**os.environ, **AUTHOR, **COMMITTER}
    done = subprocess.run(["git", *words], cwd=cwd, env=env, check=True, stdout=subprocess.PIPE, text=True, input="")
    return done.stdout.strip()


def make_repository(path: Path) -> None:
    """Make a bare repository whose branch `main` has one commit without files, so that it can be followed at once."""
    fresh = path.with_name(f".{path.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    git("init", "--quiet", "--bare", "--initial-branch=main", str(fresh), cwd=path.parent)
    tree = git("mktree", cwd=fresh)
    commit = git("commit-tree", tree, "-m", "Empty", cwd=fresh)
    git("update-ref", "refs/heads/main", commit, cwd=fresh)
    fresh.rename(path)


def write_pushers(path: Path) -> None:
    """Write who may push, readable by this user alone."""
    user, password = ((CREDENTIAL / name).read_text().strip() for name in ("username", "password"))
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(f"{user}:{password}\n")


def main() -> None:
    """Make what is missing, then become the server."""
    root = Path(os.environ.get("GIT_ROOT", "/git"))
    repository = root / os.environ.get("GIT_REPOSITORY", "dags.git")
    if not repository.exists():
        make_repository(repository)
    pushers = Path("/tmp/pushers")  # noqa: S108 (the container's own)
    write_pushers(pushers)
    settings = {"TIDEGATE_GIT_ROOT": str(root), "TIDEGATE_PUSHERS": str(pushers)}
    server = shutil.which("lighttpd", path="/usr/sbin:/usr/bin") or "lighttpd"
    os.execve(server, ["lighttpd", "-D", "-f", str(CONFIGURATION)], {**os.environ, **settings})  # noqa: S606


if __name__ == "__main__":
    main()
