"""A real registry on 127.0.0.1, and what it holds as its own HTTP API tells it.

Engines speak plain HTTP to a registry of 127.0.0.0/8 without being told.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tidegate.cluster import commands, engine
from tidegate.cluster.errors import ClusterError
from tidegate.cluster.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

STARTS_WITHIN, ENDS_WITHIN, ANSWERS_WITHIN = 60, 10, 60
MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
"""Of an image of one platform: what an engine pushes."""


@dataclass(frozen=True)
class Registry:
    """A registry that listens; with an `account`, `user:password`, it serves nobody else."""

    address: str
    log: Path
    account: str = ""

    def get(self, repository: str, path: str) -> httpx.Response:
        """What it answers at `/v2/<repository>/<path>`; fails unless that is 200."""
        answer = httpx.get(
            f"http://{self.address}/v2/{repository}/{path}",
            headers={"Accept": ", ".join(MANIFESTS)},
            auth=httpx.BasicAuth(*self.account.split(":", 1)) if self.account else None,
            timeout=ANSWERS_WITHIN,
        )
        assert answer.status_code == 200, f"{answer.request.url}: {answer.status_code} {answer.text[:300]}"
        return answer

    def manifest(self, repository: str, tag: str) -> tuple[str, dict[str, Any]]:
        """Digest and content; the digest that it tells is that of what it gives."""
        answer = self.get(repository, f"manifests/{tag}")
        digest = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
        assert answer.headers["Docker-Content-Digest"] == digest
        return digest, answer.json()

    def tags(self, repository: str) -> list[str]:
        found: list[str] = self.get(repository, "tags/list").json()["tags"]
        return found

    def uploads(self) -> int:
        """How many layers and configurations it has been sent since it began."""
        return len(re.findall(r"^POST /v2/\S+/blobs/uploads/", self.log.read_text(), re.MULTILINE))


@contextmanager
def registry(folder: Path, *, account: str = "") -> Iterator[Registry]:
    """One that starts empty, until the block ends; images that the engine has under its name are unnamed then."""
    log, blobs = folder / "registry.log", folder / "blobs"
    blobs.mkdir()
    environment = {"REGISTRY_ADDRESS": "127.0.0.1:0", "REGISTRY_FOLDER": str(blobs), "REGISTRY_ACCOUNT": account}
    with log.open("wb") as out:
        process = subprocess.Popen([program("registry")], stdout=out, stderr=out, env=environment, cwd=folder)
    try:
        found = Registry(_address(process, log), log, account)
        yield found
        _forget(found.address)
    finally:
        process.kill()  # it holds nothing that anybody wants
        process.wait(ENDS_WITHIN)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"^listening on (\S+)$", log.read_text(), re.MULTILINE):
            return found[1]
        time.sleep(0.05)
    pytest.fail(f"the registry does not listen:\n{log.read_text()[-3000:]}")


def _forget(address: str) -> None:
    listed = commands.output([engine.docker(), "image", "ls", "--format={{.Repository}}:{{.Tag}}"]).split()
    for ref in listed:
        if ref.startswith(f"{address}/"):
            with suppress(ClusterError):  # it is used by nobody, and gone with the registry's name
                commands.output([engine.docker(), "image", "rm", "--no-prune", ref])


def sign_in(folder: Path, accounts: Mapping[str, str]) -> Path:
    """Make a folder for $DOCKER_CONFIG, as `docker login` leaves it; address -> `user:password`."""
    auths = {address: {"auth": base64.b64encode(account.encode()).decode()} for address, account in accounts.items()}
    (folder / "config.json").write_text(json.dumps({"auths": auths}))
    return folder
