"""Pushes the working tree's `dags/` to the git server in the cluster.

Reads: a folder, the Secret `git-server`. Writes: one commit on the server's branch `main`, whose folder `dags/` then
equals the folder given. Again: nothing is pushed when it is equal already. The credential travels in the environment of
`git`, never in its arguments, and git's own configuration files are not read.
"""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.port_forward import forward
from tidegate.cluster import commands

if TYPE_CHECKING:
    from tidegate.cli.kubectl import Kubectl

SERVICE, PORT, REPOSITORY, BRANCH = "git-server", 80, "dags.git", "main"
SECRET = "git-server"  # noqa: S105 - the name of a Secret
AUTHOR = ("Tidegate", "tidegate@localhost")


def push_dags(kubectl: Kubectl, folder: Path, *, message: str = "dags push") -> str | None:
    """Make the server's `dags/` equal `folder`; the new commit's id, or None where nothing had changed."""
    account = kubectl.secret(SECRET)
    credential = base64.b64encode(f"{account['username']}:{account['password']}".encode()).decode()
    with forward(kubectl, SERVICE, PORT) as way, tempfile.TemporaryDirectory(prefix="tidegate-dags-") as scratch:
        address = f"http://{way.address}/{REPOSITORY}"
        return _push(Path(scratch) / "clone", folder, address=address, credential=credential, message=message)


def _push(clone: Path, folder: Path, *, address: str, credential: str, message: str) -> str | None:
    _git("clone", "--quiet", "--depth", "1", "--branch", BRANCH, address, str(clone))
    shutil.rmtree(clone / "dags", ignore_errors=True)
    shutil.copytree(folder, clone / "dags", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    _git("add", "--all", at=clone)
    if not _git("status", "--porcelain", at=clone):
        return None
    _git("commit", "--quiet", "--message", message, at=clone)
    _git("push", "--quiet", "origin", f"HEAD:{BRANCH}", at=clone, credential=credential)
    return _git("rev-parse", "HEAD", at=clone).strip()


def _git(*arguments: str, at: Path | None = None, credential: str = "") -> str:
    """One git command; raises `CommandFailed` with what git said."""
    command = ["git", *(["-C", str(at)] if at else []), *arguments]
    return commands.output(command, env=_environment(credential))


def _environment(credential: str) -> dict[str, str]:
    """An environment in which git asks nobody, reads no settings and, given a credential, sends it."""
    name, mail = AUTHOR
    identity = {
        f"GIT_{who}_{what}": v for who in ("AUTHOR", "COMMITTER") for what, v in (("NAME", name), ("EMAIL", mail))
    }
    closed = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    settings = {"http.proxy": ""} | ({"http.extraHeader": f"Authorization: Basic {credential}"} if credential else {})
    numbered = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        numbered |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return identity | closed | numbered
