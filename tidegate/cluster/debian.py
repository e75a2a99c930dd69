"""Root filesystems of Debian, made with mmdebstrap from the machine's own mirror.

Reads: the machine's apt sources, its certificates and its pip settings; a root gets all three, so that images built
on it reach what the machine reaches. Writes: `<cache>/roots/<key>/root.tar`, keyed by suite, packages and mirror.
Again: a finished root is used as it is. One that was killed leaves no process and no mount (namespaces of its own).
"""

from __future__ import annotations

import functools
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tidegate.cluster import cache, commands, host
from tidegate.cluster.errors import ClusterError
from tidegate.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BUNDLE: Final = "/etc/ssl/certs/ca-certificates.crt"
CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
PIP_KEYS: Final = ("index-url", "extra-index-url", "trusted-host", "timeout")
LAYOUT: Final = "1"
"""Raised when the way a root is made changes."""
UNWANTED: Final = tuple(f"/usr/share/{name}/*" for name in ("doc", "info", "lintian", "locale", "man"))


@dataclass(frozen=True)
class Mirror:
    """Where Debian comes from."""

    archive: str
    """URL of the archive, without a slash at its end."""
    security: str
    """URL of the security archive."""

    def sources(self, suite: str) -> list[str]:
        """Return the apt source lines for a suite."""
        return [
            f"deb {self.archive} {suite} main",
            f"deb {self.archive} {suite}-updates main",
            f"deb {self.security} {suite}-security main",
        ]


def root(suite: str, packages: Sequence[str]) -> Path:
    """Return a tar of a minimal root of `suite` (bookworm, trixie) with `packages`."""
    sources, additions = machine_mirror().sources(suite), _additions()

    def build(folder: Path) -> None:
        if not shutil.which("mmdebstrap"):
            host.install("mmdebstrap")
        extra = _write_additions(folder / "additions", additions)
        scratch = folder / "scratch"
        scratch.mkdir()
        command = _mmdebstrap(suite, packages, folder / "root.tar", extra=extra, sources=sources)
        env = {"TMPDIR": str(scratch), "DEBIAN_FRONTEND": "noninteractive"}
        with progress.phase(f"Make a Debian root ({suite})"):
            commands.run(command, log=f"debian-{suite}", env=env, ended_by="KILL")
        shutil.rmtree(scratch)
        shutil.rmtree(extra)

    return cache.entry("roots", key(suite, packages), build) / "root.tar"


def key(suite: str, packages: Sequence[str]) -> str:
    """Return what stands for a root's content, without making it."""
    additions = (part for item in _additions() for part in item)
    return f"{suite}-{cache.fingerprint(LAYOUT, suite, *packages, *machine_mirror().sources(suite), *additions)}"


def _mmdebstrap(suite: str, packages: Sequence[str], target: Path, *, extra: Path, sources: list[str]) -> list[str]:
    # in namespaces of its own: every process and every mount is gone when the first process is
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command += ["mmdebstrap", "--mode=root", "--variant=minbase"]
    command += [f"--include={','.join(['ca-certificates', *packages])}", "--format=tar"]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in UNWANTED]
    command += ["--aptopt=Acquire::Retries 3", "--aptopt=APT::Install-Recommends false"]
    command += [f"--customize-hook=sync-in {extra} /", "--customize-hook=chroot $1 update-ca-certificates"]
    return [*command, suite, str(target), *sources]


@functools.cache
def machine_mirror() -> Mirror:
    """Return the mirror in $TIDEGATE_DEBIAN_MIRROR, else the one that the machine's own apt uses."""
    if named := os.environ.get("TIDEGATE_DEBIAN_MIRROR"):
        return mirror([f"deb {named} stable main"])
    folder = Path("/etc/apt/sources.list.d")
    files = [Path("/etc/apt/sources.list"), *sorted(folder.glob("*.sources")), *sorted(folder.glob("*.list"))]
    return mirror(path.read_text(errors="replace") for path in files if path.is_file())


def mirror(texts: Iterable[str]) -> Mirror:
    """Return the mirror named in the text of apt's source files, of either form.

    An address ending in `/debian` is the archive, one ending in `/debian-security` the security archive; where that is
    not named, it is looked for beside the archive. Raises ClusterError where there is no archive.
    """
    found = [url.rstrip("/") for text in texts for url in _addresses(text)]
    archive = next((url for url in found if url.endswith("/debian")), None)
    if archive is None:
        raise ClusterError(
            "apt's sources name no Debian archive: set $TIDEGATE_DEBIAN_MIRROR to one, http://.../debian"
        )
    return Mirror(archive, next((url for url in found if url.endswith("/debian-security")), f"{archive}-security"))


def _addresses(text: str) -> Iterable[str]:
    for line in text.splitlines():
        if line.startswith("URIs:"):
            yield from line.split()[1:]
        elif re.match(r"deb\s", line):
            yield from re.findall(r"\bhttps?://\S+", line)[:1]


def own_certificates(bundle: str, known: Iterable[str]) -> list[str]:
    """Return the certificates of a PEM bundle that no known PEM text has: those that the machine's owner added."""
    public = {_bare(block) for text in known for block in CERTIFICATE.findall(text)}
    return [block for block in CERTIFICATE.findall(bundle) if _bare(block) not in public]


def _bare(block: str) -> str:
    return re.sub(r"\s", "", block)


@functools.cache
def _additions() -> tuple[tuple[str, str], ...]:
    """Return the files (path, text) that a root gets from this machine."""
    bundle = Path(BUNDLE)
    known = [path.read_text() for path in sorted(Path("/usr/share/ca-certificates").rglob("*.crt"))]
    own = own_certificates(bundle.read_text(), known) if bundle.exists() and known else []
    files = [(f"usr/local/share/ca-certificates/machine-{place}.crt", f"{pem}\n") for place, pem in enumerate(own)]
    settings = _pip_settings()
    return (*files, ("etc/pip.conf", settings)) if settings else tuple(files)


def _pip_settings() -> str:
    """Return a pip.conf with the settings of this machine that make sense elsewhere, or an empty text."""
    try:
        listing = commands.output(["python3", "-m", "pip", "config", "list"])
    except ClusterError:
        return ""
    return pip_settings(listing)


def pip_settings(listing: str) -> str:
    """Return a pip.conf from what `pip config list` prints, with certificates where a root keeps them."""
    found = dict(re.findall(r"^(?:global|install|:env:)\.([a-z-]+)='(.*)'$", listing, re.MULTILINE))
    lines = [f"{name} = {found[name]}" for name in PIP_KEYS if name in found]
    if "cert" in found:
        lines.append(f"cert = {BUNDLE}")
    return "\n".join(["[global]", *lines, ""]) if lines else ""


def _write_additions(folder: Path, additions: Iterable[tuple[str, str]]) -> Path:
    folder.mkdir()
    for name, text in additions:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
